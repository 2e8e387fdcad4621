using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Training;

/// <summary>
/// loss = −(1/T) Σ_t ln p(label_t) over the T labels that are compared + auxiliary losses of the sparse layers, and what some routers need besides
/// (<see cref="TrainingExtras"/>).
/// </summary>
public sealed class NextTokenLoss : IObjective
{
    public Tensor Losses(Tape tape, TokenBatch batch, ModelResult result) => Losses(tape, batch, result, out _);

    static Tensor Losses(Tape tape, TokenBatch batch, ModelResult result, out Indices targets)
    {
        using var place = tape.Within("loss");
        targets = tape.Upload(batch.Labels);
        return tape.CrossEntropy(result.Logits, targets);
    }

    public Objective Compute(Tape tape, IModel model, TokenBatch batch, ModelResult result, Pass pass)
    {
        var losses = Losses(tape, batch, result, out var targets);                                      // [T, 1]
        var entropy = tape.SumColumns(losses, 1.0 / Math.Max(1, tape.Total(batch.Compared)));
        var loss = result.AuxiliaryLoss is null ? entropy : tape.Add(entropy, result.AuxiliaryLoss);
        return new(model.Config.Experts == 0 ? loss : model.Config.Dialect.TrainingExtra switch
        {
            TrainingExtra.Consistency => TrainingExtras.Consistency(tape, model, result, loss, batch, targets, pass),
            TrainingExtra.Reinforce => TrainingExtras.Reinforce(tape, model, batch, result, loss, losses),
            TrainingExtra.None => loss,
            var other => throw new InvalidOperationException($"unknown training extra {other}"),
        }, entropy);
    }
}
