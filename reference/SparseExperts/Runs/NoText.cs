using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>The data of a run that was imported: it has no text of its own, and whoever wants numbers of it names one.</summary>
sealed class NoText(IModelConfig model) : RunData(ByteText.None)
{
    public override string Unit => RunData.Of(UsualKind(model), Text, model).Unit;
    public override IBatches Batches(TrainingConfig training) => throw Missing();
    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) => throw Missing();

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences) => RunData.Of(UsualKind(model), other, model).Of(other, sequences);

    public override string Show(int id) => RunData.Of(UsualKind(model), Text, model).Show(id);

    static RunException Missing() => new("the run was imported and has no text of its own; name one", "text");
}
