using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>The data of a run that was imported: it has no text of its own, and whoever wants numbers of it names one.</summary>
sealed class NoText(IModelConfig model) : RunData(ByteText.None)
{
    /// <summary>Another text is taken as the model learns from one.</summary>
    RunData? _of;

    public override string Unit => (_of ?? throw Missing()).Unit;
    public override IBatches Batches(TrainingConfig training) => throw Missing();
    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) => throw Missing();

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut)
    {
        if (Tokenizer is null && model.Vocabulary < 256)
            throw new RunException("the run was imported without a tokenizer, and its ids are no bytes; import its checkpoint again with its tokenizer's file");
        return (_of = AsUsual(other, model, Tokenizer)).Of(other, sequences, out leftOut);
    }

    public override string Show(int id) => (_of ?? throw Missing()).Show(id);

    static RunException Missing() => new("the run was imported and has no text of its own; name one", "text");
}
