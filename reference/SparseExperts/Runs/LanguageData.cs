using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Several languages: each is data of its own with its own held-out part, and a training step draws from them by a mixture.</summary>
sealed class LanguageData(ByteText all, IModelConfig model, IReadOnlyList<(string Name, RunData Data)> languages, double temperature) : RunData(all)
{
    readonly Mixture _mixture = new([.. languages.Select(l => (long)l.Data.Text.TrainLength)], temperature);

    public override string Unit => languages[0].Data.Unit;
    public override IReadOnlyList<(string Name, RunData Data)> Parts => languages;

    /// <summary>How often each language is drawn from.</summary>
    public IReadOnlyList<double> Shares => _mixture.Shares;

    public override IBatches Batches(TrainingConfig training) => new MixtureBatches(
        [.. languages.Select(l => l.Data.Batches(training with { Batch = 1, Accumulate = 1 }))], _mixture, training.Seed, training.Batch, model.Tasks);

    /// <summary>Of every language, one after the other, equally many at most.</summary>
    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) =>
        languages.SelectMany(l => l.Data.HeldOut(sequences, Math.Max(1, windows / languages.Count)));

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut) => languages[0].Data.Of(other, sequences, out leftOut);
    public override string Show(int id) => languages[0].Data.Show(id);
    public override IModelConfig Fitted(IModelConfig model) => languages[0].Data.Fitted(model);
}
