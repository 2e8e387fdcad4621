using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What the experts of a layer train, and what stands beside them.</summary>
public static class ExpertParameters
{
    const double Gain = 0.58;

    /// <summary>Both projections of all experts.</summary>
    public static ExpertWeights Declare(Weights weights, LayerShape shape)
    {
        var own = Own(weights, shape);
        return new()
        {
            Wi = own.Projection("wi", shape.ExpertWidth, shape.Hidden, Gain, shape.ExpertsWithWeights),
            Wo = own.Projection("wo", shape.Hidden, shape.ExpertWidth, Gain, shape.ExpertsWithWeights),
        };
    }

    /// <summary>Where what every expert has a part of is declared; what stands beside them, or around them all, is not.</summary>
    static Weights Own(Weights weights, LayerShape shape) => weights.Sub("experts").OfExperts(shape.ExpertsWithWeights);

    /// <summary>The second first projection of gated experts, the shared expert and the learned pair, where the dialect has them.</summary>
    public static ExpertWeights DeclareFurther(Weights weights, LayerShape shape, ExpertWeights experts)
    {
        var d = shape.Dialect;
        var own = Own(weights, shape);
        if (shape.Biases) experts = Biased(own, shape, experts);
        if (IsGated(shape)) experts = experts with { WiGate = own.Projection("wi_gate", shape.ExpertWidth, shape.Hidden, Gain, shape.ExpertsWithWeights) };
        if (d.SharedExpert) experts = Shared(weights.Sub("shared"), shape, experts);
        if (d is { SharedExpert: true, SharedGate: true })
            experts = experts with { SharedGate = weights.Sub("shared").Projection("gate", shape.Width, 1, 0.1) };
        if (d.LatentExperts) experts = Latent(weights.Sub("experts"), shape, experts);
        if (d.OutputBias) experts = experts with { OutputBias = weights.Sub("experts").Matrix("output_bias", 1, shape.Width, Starts.Zeros) };
        return d.Combination == Combination.LearnedPair ? Pair(weights, shape, experts) : experts;
    }

    /// <summary>Gated as the model's feed-forward layers are, or because the limited activations are defined for gated experts.</summary>
    static bool IsGated(LayerShape shape) => shape.Gated || shape.Dialect.Activation.IsLimited();

    /// <summary>Whether the dialect's activation is its own; all others use the model's feed-forward layer's, so that a dense twin computes the same.</summary>
    public static bool HasOwnActivation(Dialect d) => d.Activation.IsLimited() || d.Activation == ExpertActivation.ReluSquared;

    static ExpertWeights Shared(Weights shared, LayerShape shape, ExpertWeights experts)
    {
        var count = shape.Dialect.SharedInGates ? LayerShape.SharedExpertsInGates : Math.Max(1, shape.Dialect.SharedChoices);
        var hidden = shape.SharedHidden > 0 ? shape.SharedHidden : shape.Hidden;
        return experts with
        {
            SharedCount = count,
            SharedWi = shared.Projection("wi", shape.Width, hidden, Gain, count),
            SharedWiGate = IsGated(shape) ? shared.Projection("wi_gate", shape.Width, hidden, Gain, count) : null,
            SharedWo = shared.Projection("wo", hidden, shape.Width, Gain, count),
        };
    }

    /// <summary>A row an expert: not stacked matrices, but one with E rows.</summary>
    static ExpertWeights Biased(Weights own, LayerShape shape, ExpertWeights experts) => experts with
    {
        Bi = own.Matrix("bi", shape.ExpertsWithWeights, shape.Hidden, Starts.Zeros),
        BiGate = IsGated(shape) ? own.Matrix("bi_gate", shape.ExpertsWithWeights, shape.Hidden, Starts.Zeros) : null,
        Bo = own.Matrix("bo", shape.ExpertsWithWeights, shape.ExpertWidth, Starts.Zeros),
    };

    /// <summary>The projections around experts of a width of their own, and their norms.</summary>
    static ExpertWeights Latent(Weights weights, LayerShape shape, ExpertWeights experts) => experts with
    {
        In = weights.Projection("in", shape.Width, shape.ExpertWidth, Gain),
        Out = weights.Projection("out", shape.ExpertWidth, shape.Width, Gain),
        InNorm = shape.Dialect.ExpertsInNorm ? weights.Matrix("in_norm", 1, shape.ExpertWidth, Starts.Ones) : null,
        PostNorm = shape.Dialect.ExpertsPostNorm ? weights.Matrix("post_norm", 1, shape.ExpertWidth, Starts.Ones) : null,
    };

    static ExpertWeights Pair(Weights weights, LayerShape shape, ExpertWeights experts) => experts with
    {
        PairWeight = weights.Projection("pair", shape.Width, 2, 0.1),
        PairBias = weights.Matrix("pair_bias", 1, 2, Starts.Zeros),
    };
}
