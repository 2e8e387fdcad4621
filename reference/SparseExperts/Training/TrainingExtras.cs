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
        double compared = Math.Max(1, tape.Total(batch.Compared));
        var other = tape.SumColumns(tape.CrossEntropy(second.Logits, targets), 1 / compared);
        Tensor lnP = tape.LogSoftmax(first.Logits), lnQ = tape.LogSoftmax(second.Logits);
        var difference = tape.Subtract(tape.Activate(Activation.Exp, lnP), tape.Activate(Activation.Exp, lnQ));
        var divergence = tape.SumColumns(tape.SumRows(tape.Multiply(difference, tape.Subtract(lnP, lnQ))), 0.5 / tape.TotalRows(second.Logits));
        return tape.Add(tape.Add(loss, other), tape.Scale(divergence, model.Config.Dialect.ExtraCoefficient));
    }

    /// <summary>
    /// Adds −c·mean_t (r_t − b)·ln π(e_t), r_t the token's log-likelihood and b its running mean, both constants: REINFORCE for the choice of
    /// the expert (Clark et al. 2022, section 3.3; Williams 1992). A token of an encoder has the mean of its sequence's labels for r_t.
    /// </summary>
    public static Tensor Reinforce(Tape tape, IModel model, TokenBatch batch, ModelResult result, Tensor loss, Tensor losses)
    {
        var nats = tape.Backend.ToArray(losses.Value);
        var baseline = (float)model.Baseline;
        foreach (var layer in result.Sparse)
        {
            var rows = layer.Logits.Rows;
            var rewards = rows == nats.Length ? nats : BySequence(nats, batch, rows);
            var advantage = tape.Constant(rows, 1, Array.ConvertAll(rewards, n => -n - baseline));
            var chosen = tape.GatherColumns(tape.LogSoftmax(layer.Logits), tape.Upload(layer.Plan.Expert));
            loss = tape.Add(loss, tape.SumColumns(tape.Multiply(chosen, advantage), -model.Config.Dialect.ExtraCoefficient / tape.TotalRows(layer.Logits)));
        }
        return loss;
    }

    /// <summary>For each of so many tokens the mean nats of its sequence's compared labels.</summary>
    static float[] BySequence(float[] nats, TokenBatch batch, int tokens)
    {
        int labels = nats.Length / batch.Sequences, length = tokens / batch.Sequences;
        float[] means = [.. Enumerable.Range(0, batch.Sequences).Select(s =>
            nats.AsSpan(s * labels, labels).ToArray().Sum() / Math.Max(1, labels - batch.Labels.AsSpan(s * labels, labels).Count(TokenBatch.NoLabel)))];
        return [.. Enumerable.Range(0, tokens).Select(t => means[t / length])];
    }
}
