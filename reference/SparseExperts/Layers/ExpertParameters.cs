using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What the experts of a layer train, and what stands beside them.</summary>
public static class ExpertParameters
{
    const double Gain = 0.58;

    /// <summary>Both projections of all experts.</summary>
    public static ExpertWeights Declare(Weights weights, LayerShape shape) => new()
    {
        Wi = weights.Sub("experts").Projection("wi", shape.Width, shape.Hidden, Gain, shape.ExpertsWithWeights),
        Wo = weights.Sub("experts").Projection("wo", shape.Hidden, shape.Width, Gain, shape.ExpertsWithWeights),
    };

    /// <summary>The second first projection of gated experts, the shared expert and the learned pair, where the dialect has them.</summary>
    public static ExpertWeights DeclareFurther(Weights weights, LayerShape shape, ExpertWeights experts)
    {
        var d = shape.Dialect;
        if (IsGated(d)) experts = experts with { WiGate = weights.Sub("experts").Projection("wi_gate", shape.Width, shape.Hidden, Gain, shape.ExpertsWithWeights) };
        if (d.SharedExpert) experts = Shared(weights.Sub("shared"), shape, experts);
        if (d.SharedGate) experts = experts with { SharedGate = weights.Sub("shared").Projection("gate", shape.Width, 1, 0.1) };
        return d.Combination == Combination.LearnedPair ? Pair(weights, shape, experts) : experts;
    }

    /// <summary>The clamped activations are defined for gated experts; all others use the model's own feed-forward layer.</summary>
    public static bool IsGated(Dialect d) => d.Activation is ExpertActivation.SwigluClamped or ExpertActivation.SwigluLimited;

    static ExpertWeights Shared(Weights shared, LayerShape shape, ExpertWeights experts) => experts with
    {
        SharedWi = shared.Projection("wi", shape.Width, shape.Hidden, Gain),
        SharedWiGate = IsGated(shape.Dialect) ? shared.Projection("wi_gate", shape.Width, shape.Hidden, Gain) : null,
        SharedWo = shared.Projection("wo", shape.Hidden, shape.Width, Gain),
    };

    static ExpertWeights Pair(Weights weights, LayerShape shape, ExpertWeights experts) => experts with
    {
        PairWeight = weights.Projection("pair", shape.Width, 2, 0.1),
        PairBias = weights.Matrix("pair_bias", 1, 2, Starts.Zeros),
    };
}
