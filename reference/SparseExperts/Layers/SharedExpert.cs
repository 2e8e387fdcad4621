using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>A dense expert beside the routed ones, which every token meets.</summary>
static class SharedExpert
{
    /// <summary>y + σ(x·w)·shared(x), the gate where there is one; or the average of both, or the mixture by a learned pair.</summary>
    /// <param name="y">Sum of the routed experts [T, M].</param>
    /// <param name="gates">Gates of N shared experts that take part in the normalisation [T, N], or are choices more, or null.</param>
    public static Tensor Join(Tape tape, RouterCall call, Tensor x, Tensor y, ExpertWeights weights, Tensor? gates = null)
    {
        if (weights.SharedWi is null) return y;
        var rounded = tape.In(call.Format);
        var count = call.Dialect.SharedInGates ? weights.SharedCount : Math.Max(1, call.Dialect.SharedChoices);
        if (weights.SharedCount != count)
            throw new RoutingException($"{call.Where}: {call.Dialect.Name} has {count} shared experts, {weights.SharedCount} are given; give so many");
        if (call.Dialect.SharedInGates) return rounded.Add(y, Gated(tape, call, x, weights, RouterLogits.Needed(call, gates, "router.shared_weight")));
        if (call.Dialect.SharedChoices > 0) return rounded.Add(y, Gated(tape, call, x, weights, RouterLogits.Needed(call, gates, "claim.shared_gate")));
        var gate = weights.SharedWiGate is { } w ? rounded.Linear(x, w) : null;                                         // [T, F']
        var hidden = FeedForward.Activate(tape, call, rounded.Linear(x, weights.SharedWi), gate, shared: true);         // [T, F']
        var dense = rounded.Linear(hidden, weights.SharedWo!);                                                          // [T, M]
        if (call.Dialect.Combination == Combination.LearnedPair) return ByLearnedPair(tape, call, x, y, dense, weights);
        if (weights.SharedGate is { } sharedGate) dense = rounded.ScaleRows(dense, rounded.Activate(Activation.Sigmoid, rounded.Linear(x, sharedGate)));
        var sum = rounded.Add(y, dense);
        return call.Dialect.SharedCombination == SharedCombination.Average ? rounded.Scale(sum, 0.5) : sum;
    }

    /// <summary>
    /// Σ_n g_n·shared_n(x): each shared expert is multiplied by its gate before its second matrix (transformers modeling_inkling.py), one that is a choice
    /// more behind it, as the others are.
    /// </summary>
    static Tensor Gated(Tape tape, RouterCall call, Tensor x, ExpertWeights weights, Tensor gates)
    {
        var rounded = tape.In(call.Format);
        Tensor Own(Tensor stacked, int n)
        {
            var rows = stacked.Rows / weights.SharedCount;
            return weights.SharedCount == 1 ? stacked : tape.RowRange(stacked, n * rows, rows);
        }
        Tensor? sum = null;
        for (var n = 0; n < weights.SharedCount; n++)
        {
            var gate = weights.SharedWiGate is { } w ? rounded.Linear(x, Own(w, n)) : null;                             // [T, F']
            var hidden = FeedForward.Activate(tape, call, rounded.Linear(x, Own(weights.SharedWi!, n)), gate, shared: true);
            var share = tape.GatherColumns(gates, tape.UploadPlan([.. Enumerable.Repeat(n, x.Rows)]));                  // [T, 1]
            var wo = Own(weights.SharedWo!, n);
            var dense = call.Dialect.SharedInGates                                                                      // [T, M]
                ? tape.Linear(rounded.ScaleRows(hidden, share), wo)
                : rounded.ScaleRows(rounded.Linear(hidden, wo), share);
            sum = sum is null ? dense : tape.Add(sum, dense);
        }
        return rounded.Round(sum!);
    }

    /// <summary>c₀·y + c₁·dense, c = softmax(x·W + b) (DeepSpeed moe/layer.py, use_residual).</summary>
    static Tensor ByLearnedPair(Tape tape, RouterCall call, Tensor x, Tensor y, Tensor dense, ExpertWeights weights)
    {
        var logits = tape.Linear(x, RouterLogits.Needed(call, weights.PairWeight, "residual.weight"));
        var pair = tape.Softmax(tape.Add(logits, tape.RepeatRow(RouterLogits.Needed(call, weights.PairBias, "residual.bias"), x)));     // [T, 2]
        Tensor Share(int j) => tape.GatherColumns(pair, tape.UploadPlan([.. Enumerable.Repeat(j, x.Rows)]));
        return tape.Add(tape.ScaleRows(y, Share(0)), tape.ScaleRows(dense, Share(1)));
    }
}
