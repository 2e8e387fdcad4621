using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>A dense expert beside the routed ones, which every token meets.</summary>
static class SharedExpert
{
    /// <summary>y + σ(x·w)·shared(x), the gate where there is one; or the average of both, or the mixture by a learned pair.</summary>
    /// <param name="y">Sum of the routed experts [T, M].</param>
    public static Tensor Join(Tape tape, RouterCall call, Tensor x, Tensor y, ExpertWeights weights)
    {
        if (weights.SharedWi is null) return y;
        var rounded = tape.In(call.Format);
        var gate = weights.SharedWiGate is { } w ? rounded.Linear(x, w) : null;                                         // [T, F']
        var hidden = FeedForward.Activate(tape, call, rounded.Linear(x, weights.SharedWi), gate);                       // [T, F']
        var dense = rounded.Linear(hidden, weights.SharedWo!);                                                          // [T, M]
        if (call.Dialect.Combination == Combination.LearnedPair) return ByLearnedPair(tape, call, x, y, dense, weights);
        if (weights.SharedGate is { } sharedGate) dense = rounded.ScaleRows(dense, rounded.Activate(Activation.Sigmoid, rounded.Linear(x, sharedGate)));
        var sum = rounded.Add(y, dense);
        return call.Dialect.SharedCombination == SharedCombination.Average ? rounded.Scale(sum, 0.5) : sum;
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
