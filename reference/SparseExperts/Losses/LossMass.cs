using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>P's numbers: what a product loss takes the mean of, the only path of its gradient.</summary>
static class LossMass
{
    /// <summary>[T, E].</summary>
    public static Tensor Of(Tape tape, RouterCall call, LossInputs inputs) => call.Dialect.BalanceMass switch
    {
        BalanceMass.Scores => inputs.Scores,
        BalanceMass.SoftmaxOfLogits => SoftmaxOfLogits(tape, call, inputs),
        BalanceMass.DoubleSoftmax => tape.Softmax(tape.Softmax(inputs.Logits)),
        BalanceMass.Gates => Gates.Dense(tape, inputs.Gates, inputs.Plan.Expert, call.Experts),
        BalanceMass.Distribution => Distribution(tape, call, inputs),
        var other => throw new RoutingException($"{call.Where}: unknown balance mass {other}"),
    };

    static Tensor SoftmaxOfLogits(Tape tape, RouterCall call, LossInputs inputs) =>
        AreSoftmaxOfLogits(call, inputs) ? inputs.Scores : tape.Softmax(inputs.Logits);

    /// <summary>Whether the scores, which may be claimed, are this softmax itself: not of noisy logits, and not rounded to a narrower format.</summary>
    static bool AreSoftmaxOfLogits(RouterCall call, LossInputs inputs) => call.Dialect.Score == Score.Softmax && ReferenceEquals(inputs.Noisy, inputs.Logits)
        && (call.Dialect.ScoreDtype ?? call.ScoreFormat) is NumberFormat.Float32 or NumberFormat.Float64;

    /// <summary>Softmax of the logits, or sigmoids divided by their sum over all experts + 10⁻²⁰.</summary>
    static Tensor Distribution(Tape tape, RouterCall call, LossInputs inputs)
    {
        if (call.Dialect.Score is Score.Softmax or Score.SoftmaxPost) return SoftmaxOfLogits(tape, call, inputs);
        var sums = tape.Shift(tape.SumRows(inputs.Scores), 1e-20);
        return tape.Divide(inputs.Scores, tape.RepeatColumn(sums, inputs.Scores.Columns));
    }

    /// <summary>The same with the numbers of tokens that do not count set to 0.</summary>
    public static Tensor OfCounted(Tape tape, RouterCall call, Tensor mass) => call.TokenMask.Length == 0 || Includes(call.Dialect)
        ? mass
        : tape.ScaleRows(mass, tape.Column([.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? 1.0 : 0)]));

    /// <summary>Whether padding counts in P.</summary>
    static bool Includes(Dialect d) => d.BalanceTokens is BalanceTokens.All or BalanceTokens.ScaledByRealShare or BalanceTokens.RealCountsOverAll;
}
