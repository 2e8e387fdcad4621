using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Span corruption of bytes or tokens: what was taken out of a window is predicted, behind its sentinels.</summary>
sealed class SpanData : RunData
{
    /// <summary>Seed of the spans of held-out text, the same for all runs.</summary>
    const ulong HeldOutSeed = 1;

    readonly ITextToTextConfig _model;
    readonly ITokenizer _tokenizer;
    readonly TextToTextIds _ids;
    readonly SpanCorruption _corruption;
    readonly Lazy<(TokenText Train, TokenText HeldOut)> _tokens;

    public SpanData(ByteText text, ITextToTextConfig model, ITokenizer tokenizer, SpanCorruption corruption) : base(text)
    {
        (_model, _tokenizer, _ids, _corruption) = (model, tokenizer, TextToTextIds.Of(tokenizer), corruption);
        RequireIds(_ids.Vocabulary, model);
        _tokens = new(() => tokenizer is ByteTokenizer ? TokenText.OfBytes(text) : TokenText.Of(text, tokenizer));
    }

    public override string Unit => "label";
    public override IBatches Batches(TrainingConfig training) => Batches(_tokens.Value.Train, training.Seed, training.Batch);
    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) => Batches(_tokens.Value.HeldOut, HeldOutSeed, sequences).Windows(windows);

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut)
    {
        byte[] all = [.. other.Train, .. other.HeldOut];
        var tokens = _tokenizer is ByteTokenizer ? TokenText.OfBytes(all) : TokenText.Of(all, _tokenizer, other.Path);
        var batches = Batches(tokens, HeldOutSeed, sequences);
        leftOut = tokens.Bytes(tokens.Length - tokens.Length % batches.Tokens, tokens.Length);
        return batches.Windows();
    }

    public override IModelConfig Fitted(IModelConfig model)
    {
        var (encoder, decoder) = Batches(_tokens.Value.Train, 0, 1).Lengths;
        return _model.For(encoder, decoder, _ids);
    }

    public override string Show(int id) => id >= _ids.Vocabulary - _ids.Sentinels || id == _ids.Padding || id == _ids.End
        ? Sentinels.Show(id, _ids)
        : _tokenizer is ByteTokenizer ? ((char)id).ToString() : _tokenizer.Decode([id]);

    SpanBatches Batches(TokenText text, ulong seed, int sequences) => new(text.Ids, _ids, _corruption, _model.Context, seed, sequences);
}
