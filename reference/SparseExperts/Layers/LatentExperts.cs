using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>
/// Routed experts that live at a width L of their own, between two projections that they share (Nemotron-H; Muse Spark, with a norm behind the first
/// projection and one behind each expert).
/// </summary>
static class LatentExperts
{
    /// <summary>RMS(x·A)∘w where there is a norm, x·A where there is none, x where the experts have the tokens' width [T, L].</summary>
    public static Tensor Enter(Tape tape, RouterCall call, Tensor x, ExpertWeights weights)
    {
        if (weights.In is null) return x;
        var rounded = tape.In(call.Format);
        var z = rounded.Linear(x, weights.In);
        if (!call.Dialect.ExpertsInNorm) return z;
        return rounded.Norm(z, RouterLogits.Needed(call, weights.InNorm, "experts.in_norm"), call.Dialect.ExpertsInNormEpsilon);
    }

    /// <summary>Each expert's output o becomes RMS(o∘w) before its gate [rows, L].</summary>
    public static Tensor Normed(Tape tape, RouterCall call, Tensor outputs, ExpertWeights weights)
    {
        if (!call.Dialect.ExpertsPostNorm) return outputs;
        var rounded = tape.In(call.Format);
        var weighted = rounded.Multiply(outputs, tape.RepeatRow(RouterLogits.Needed(call, weights.PostNorm, "experts.post_norm"), outputs));
        return rounded.Normed(weighted, call.Dialect.ExpertsPostNormEpsilon);
    }

    /// <summary>y·B [T, M], the sum as it stands.</summary>
    public static Tensor Leave(Tape tape, RouterCall call, Tensor y, ExpertWeights weights) =>
        weights.Out is null ? y : tape.In(call.Format).Linear(y, weights.Out);
}
