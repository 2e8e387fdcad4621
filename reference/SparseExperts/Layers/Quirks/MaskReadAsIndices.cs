using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers.Quirks;

/// <summary>
/// A mask [T, E] of zeros and ones is read as expert indices: the first choice's gate weighs expert 1 and all others weigh expert 0
/// (transformers 5 modeling_nllb_moe.py).
/// </summary>
static class MaskReadAsIndices
{
    /// <summary>Gates and plan as they really take effect: the given ones, unless the dialect has this fault.</summary>
    public static (Tensor Gates, RoutingPlan Plan) Effective(Tape tape, RouterCall call, Tensor gates, RoutingPlan plan)
    {
        if (call.Dialect.Combination != Combination.MaskReadAsIndices) return (gates, plan);
        if (call.Dialect.TokenDropout > 0 && !call.Training) gates = tape.Scale(gates, 1 - call.Dialect.TokenDropout);
        int k = plan.Choices, tokens = plan.Tokens;
        // Column i1 of a one-hot row is 1: its gate goes to expert 1. Every other column is 0: their gates go to expert 0.
        int[] expert = new int[tokens * 2], slot = new int[tokens * 2];
        for (var t = 0; t < tokens; t++) (expert[t * 2], expert[t * 2 + 1], slot[t * 2], slot[t * 2 + 1]) = (1, 0, t, t);
        float[] ones = new float[tokens * k], others = new float[tokens * k];
        for (var i = 0; i < ones.Length; i++)
        {
            var isFirst = i % k == 0 && plan.RowOf[i] >= 0;
            (ones[i], others[i]) = isFirst ? (1, 0) : (0, 1);
        }
        var first = tape.SumRows(tape.Multiply(gates, tape.PlanConstant(tokens, k, ones)));                             // [T, 1]
        var rest = tape.SumRows(tape.Multiply(gates, tape.PlanConstant(tokens, k, others)));                            // [T, 1]
        int[] left = new int[tokens * 2], right = new int[tokens * 2];
        for (var i = 0; i < left.Length; i++) (left[i], right[i]) = i % 2 == 0 ? (i / 2, -1) : (-1, i / 2);
        var both = tape.Add(tape.GatherElements(first, left, tokens, 2), tape.GatherElements(rest, right, tokens, 2));
        return (both, new RoutingPlan(call.Experts, 1, 2, RoutingPlan.Unlimited, expert, slot));
    }
}
