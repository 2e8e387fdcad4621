using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Windows of tokens, each label the token after its input; losses are counted by the bytes that labels stand for.</summary>
sealed class TokenData : RunData
{
    readonly IModelConfig _model;
    readonly ITokenizer _tokenizer;
    readonly Lazy<(TokenText Train, TokenText HeldOut)> _tokens;

    public TokenData(ByteText text, IModelConfig model, ITokenizer tokenizer) : base(text)
    {
        RequireIds(tokenizer.Vocabulary, model);
        (_model, _tokenizer) = (model, tokenizer);
        _tokens = new(() => TokenText.Of(text, tokenizer));
    }

    public override string Unit => "byte";
    public override IBatches Batches(TrainingConfig training) => new TokenBatches(_tokens.Value.Train, training.Seed, training.Batch, _model);

    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) =>
        TokenBatches.Windows(_tokens.Value.HeldOut, _model, sequences, windows);

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut)
    {
        var tokens = TokenText.Of((byte[])[.. other.Train, .. other.HeldOut], _tokenizer, other.Path);
        var windows = TokenBatches.Windows(tokens, _model, sequences);
        leftOut = tokens.Bytes(tokens.Length - ByteBatches.LeftOut(tokens.Length, _model), tokens.Length);
        return windows;
    }

    public override string Show(int id) => _tokenizer.Decode([id]);
}
