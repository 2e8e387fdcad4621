using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Windows of bytes, each label the byte after its input.</summary>
sealed class ByteData : RunData
{
    readonly IModelConfig _model;

    public ByteData(ByteText text, IModelConfig model) : base(text)
    {
        RequireIds(256, model);
        _model = model;
    }

    public override string Unit => "byte";
    public override IBatches Batches(TrainingConfig training) => new ByteBatches(Text, training.Seed, training.Batch, _model);

    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) =>
        ByteBatches.Windows(Text.HeldOut.ToArray(), _model, sequences, windows);

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut)
    {
        var windows = ByteBatches.Windows((byte[])[.. other.Train, .. other.HeldOut], _model, sequences);
        leftOut = ByteBatches.LeftOut(other.Length, _model);
        return windows;
    }

    public override string Show(int id) => ((char)id).ToString();
}
