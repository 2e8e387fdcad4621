using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What routers train: every form declares its own. The order of declaration is that of checkpoints and of the norm of all gradients.</summary>
public static class RouterParameters
{
    const double Gain = 0.1;
    const double CosineStart = 0.6931471805599453;          // ln(1/0.5)
    const int CosineWidth = 64, MlpWidth = 64;

    public static RouterWeights Declare(Weights weights, LayerShape shape)
    {
        var d = shape.Dialect;
        return d.Selection switch
        {
            Selection.BinaryCode => BinaryCode(weights, shape),
            Selection.TwoLevelCapacity => TwoLevelCapacity(weights, shape),
            Selection.Batchwise => Batchwise(weights, shape),
            _ => Scaled(weights, shape, Form(weights, shape)),
        };
    }

    static RouterWeights Form(Weights weights, LayerShape shape) => shape.Dialect.Router switch
    {
        RouterForm.Linear => Linear(weights, shape),
        RouterForm.LinearPerTask => LinearPerTask(weights, shape),
        RouterForm.LinearWithEmbedding => LinearWithEmbedding(weights, shape),
        RouterForm.TaskEmbedding => TaskEmbedding(weights, shape),
        RouterForm.Cosine => Cosine(weights, shape),
        RouterForm.SlotSimilarity => SlotSimilarity(weights, shape),
        RouterForm.TwoLevel => TwoLevel(weights, shape),
        RouterForm.Mlp => Mlp(weights, shape),
        RouterForm.ProductKeys => Disturbed(weights, shape, new() { Keys = weights.Projection("router_keys", shape.Width, 2 * Keys(shape), Gain) }),
        RouterForm.None or RouterForm.Constant => Disturbed(weights, shape, new()),
        var other => throw new RoutingException($"{shape.Dialect.Name}: unknown router {other}"),
    };

    /// <summary>W [M, E].</summary>
    static RouterWeights Linear(Weights weights, LayerShape shape) =>
        Disturbed(weights, shape, new() { Weight = weights.Projection("router", shape.Width, shape.Experts, Gain) });

    /// <summary>The routers of all tasks side by side [M, tasks·E].</summary>
    static RouterWeights LinearPerTask(Weights weights, LayerShape shape) =>
        Disturbed(weights, shape, new() { Weight = weights.Projection("router", shape.Width, shape.Tasks * shape.Experts, Gain) });

    static RouterWeights LinearWithEmbedding(Weights weights, LayerShape shape) =>
        Linear(weights, shape) with { Table = weights.Matrix("router_embedding", shape.Vocabulary, shape.Experts, Starts.Normal(0.02)) };

    static RouterWeights TaskEmbedding(Weights weights, LayerShape shape) =>
        Disturbed(weights, shape, new()) with { Table = weights.Matrix("router_tasks", shape.Tasks, shape.Experts, Starts.Normal(0.1)) };

    static RouterWeights Cosine(Weights weights, LayerShape shape)
    {
        var width = Math.Min(CosineWidth, shape.Width);
        return Disturbed(weights, shape, new()) with
        {
            Projection = weights.Projection("router_projection", shape.Width, width, Gain),
            Embeddings = weights.Matrix("router_embeddings", width, shape.Experts, Starts.Normal(0.01)),
            Temperature = weights.Matrix("router_temperature", 1, 1, Starts.Constant(CosineStart)),
        };
    }

    /// <summary>Keys a half, K·K = E.</summary>
    static int Keys(LayerShape shape) => (int)Math.Sqrt(shape.Experts);

    /// <summary>A projection to a width R of its own, a norm, two hidden layers and a matrix; the state of the router before has a factor of 0 … 1.</summary>
    static RouterWeights Mlp(Weights weights, LayerShape shape)
    {
        var width = Math.Min(MlpWidth, shape.Width);
        var router = weights.Sub("router");
        return Disturbed(weights, shape, new()
        {
            Weight = router.Projection("weight", width, shape.Experts, Gain),
            Mlp = new(router.Projection("down", shape.Width, width, 1), router.Matrix("down_bias", 1, width, Starts.Zeros),
                shape.FollowsRouter ? router.Matrix("previous_scale", 1, width, Starts.Constant(0.5)) : null, router.Matrix("norm", 1, width, Starts.Ones),
                router.Projection("w1", width, width, 1), router.Matrix("b1", 1, width, Starts.Zeros),
                router.Projection("w2", width, width, 1), router.Matrix("b2", 1, width, Starts.Zeros)),
        });
    }

    /// <summary>The norm that the router alone reads through, factors of experts and of all gates, rows of shared experts, where there are any.</summary>
    static RouterWeights Scaled(Weights weights, LayerShape shape, RouterWeights router)
    {
        var d = shape.Dialect;
        if (d.RouterNorm) router = router with { Norm = weights.Matrix("router_norm", 1, shape.Width, Starts.Ones) };
        if (d.ExpertScale) router = router with { ExpertScale = weights.Matrix("router_expert_scale", 1, shape.Experts, Starts.Ones) };
        if (d.GlobalScale) router = router with { GlobalScale = weights.Matrix("router_global_scale", 1, 1, Starts.Ones) };
        if (!d.SharedInGates) return router;
        return router with { SharedWeight = weights.Projection("router_shared", shape.Width, LayerShape.SharedExpertsInGates, Gain) };
    }

    static RouterWeights SlotSimilarity(Weights weights, LayerShape shape) => Disturbed(weights, shape, new()) with
    {
        Slots = weights.Matrix("router_slots", shape.Width, shape.Experts * shape.SlotsPerExpert, Starts.Normal(1 / Math.Sqrt(shape.Width))),
        Scale = weights.Matrix("router_scale", 1, 1, Starts.Ones),
    };

    /// <summary>Two routers, each with noise of its own.</summary>
    static RouterWeights TwoLevel(Weights weights, LayerShape shape) => Biased(weights, shape, new()) with
    {
        PrimaryWeight = weights.Projection("router_primary", shape.Width, shape.Dialect.Groups, Gain),
        PrimaryNoiseWeight = weights.Matrix("router_primary_noise", shape.Width, shape.Dialect.Groups, Starts.Zeros),
        SecondaryWeight = weights.Projection("router_secondary", shape.Width, shape.Experts, Gain),
        SecondaryNoiseWeight = weights.Matrix("router_secondary_noise", shape.Width, shape.Experts, Starts.Zeros),
    };

    static RouterWeights TwoLevelCapacity(Weights weights, LayerShape shape) => Disturbed(weights, shape, new()) with
    {
        PrimaryWeight = weights.Projection("router_primary", shape.Width, shape.Dialect.Groups, Gain),
        SecondaryWeight = weights.Projection("router_secondary", shape.Width, shape.Experts, Gain),
    };

    /// <summary>k codes of log₂E bits and their k weights: free numbers, or linear in the token.</summary>
    static RouterWeights BinaryCode(Weights weights, LayerShape shape)
    {
        var (k, bits) = (shape.Dialect.K, BinaryCodeRouter.Bits(shape.Experts));
        var free = shape.Dialect.Router == RouterForm.Constant;
        return Disturbed(weights, shape, new()) with
        {
            Codes = free ? weights.Matrix("router_codes", 1, k * bits, Starts.Normal(0.01)) : weights.Projection("router_codes", shape.Width, k * bits, Gain),
            CodeWeights = free ? weights.Matrix("router_code_weights", 1, k, Starts.Normal(0.03))
                : weights.Projection("router_code_weights", shape.Width, k, Gain),
        };
    }

    /// <summary>What the router's form has, and a threshold an expert that starts at the even share.</summary>
    static RouterWeights Batchwise(Weights weights, LayerShape shape) => Form(weights, shape) with
    {
        Thresholds = weights.Matrix("router_thresholds", 1, shape.Experts, Starts.Constant((float)shape.Dialect.K / shape.Experts)),
    };

    /// <summary>Bias and input-dependent noise, where the dialect has them.</summary>
    static RouterWeights Disturbed(Weights weights, LayerShape shape, RouterWeights router)
    {
        router = Biased(weights, shape, router);
        return shape.Dialect.Noise != LogitNoise.NormalSoftplus ? router
            : router with { NoiseWeight = weights.Matrix("router_noise", shape.Width, shape.Experts, Starts.Zeros) };
    }

    static RouterWeights Biased(Weights weights, LayerShape shape, RouterWeights router) =>
        shape.Dialect.RouterBias ? router with { Bias = weights.Matrix("router_bias", 1, shape.Experts, Starts.Zeros) } : router;
}
