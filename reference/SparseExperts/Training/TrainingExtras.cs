using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Ops;

namespace SparseExperts.Training;

/// <summary>What some routers need in training beyond one forward pass and one loss.</summary>
static class TrainingExtras
{
    /// <summary>
    /// loss = loss₁ + loss₂ + α·½·mean_t Σ_v (p − q)(ln p − ln q): two passes through other random experts should predict the same
    /// (THOR, Zuo et al. 2022, eq. 5; translation_thor.py, without stop-gradient; its sum over tokens is a mean here, as the loss is).
    /// </summary>
    public static Tensor Consistency(Tape tape, IModel model, ModelResult first, Tensor loss, TokenBatch batch, Indices targets, Pass pass)
    {
        var second = model.Forward(batch, pass with { Streams = pass.Streams with { Pass = 1 } });
        var other = tape.SumColumns(tape.CrossEntropy(second.Logits, targets), 1.0 / tape.TotalRows(second.Logits));
        Tensor lnP = tape.LogSoftmax(first.Logits), lnQ = tape.LogSoftmax(second.Logits);
        var difference = tape.Subtract(tape.Activate(Activation.Exp, lnP), tape.Activate(Activation.Exp, lnQ));
        var divergence = tape.SumColumns(tape.SumRows(tape.Multiply(difference, tape.Subtract(lnP, lnQ))), 0.5 / tape.TotalRows(second.Logits));
        return tape.Add(tape.Add(loss, other), tape.Scale(divergence, model.Config.Dialect.ExtraCoefficient));
    }

    /// <summary>
    /// Adds −c·mean_t (r_t − b)·ln π(e_t), r_t the token's log-likelihood and b its running mean, both constants: REINFORCE for the choice of
    /// the expert (Clark et al. 2022, section 3.3; Williams 1992).
    /// </summary>
    public static Tensor Reinforce(Tape tape, IModel model, ModelResult result, Tensor loss, Tensor losses)
    {
        var nats = tape.Backend.ToArray(losses.Value);
        var baseline = (float)model.Baseline;
        var advantage = tape.Constant(nats.Length, 1, [.. nats.Select(n => -n - baseline)]);
        foreach (var layer in result.Sparse)
        {
            var chosen = tape.GatherColumns(tape.LogSoftmax(layer.Logits), tape.Upload(layer.Plan.Expert));
            loss = tape.Add(loss, tape.SumColumns(tape.Multiply(chosen, advantage), -model.Config.Dialect.ExtraCoefficient / tape.TotalRows(losses)));
        }
        return loss;
    }
}
