namespace SparseExperts.Routing;

/// <summary>Routers that inference engines have of their own, beside those of the models that they serve.</summary>
static class EngineDialects
{
    static Dialect TensorRt => new()
    {
        Name = "trtllm.load_balanced",
        Summary = "no router: experts go round from token to token, each with weight 1 (a load for benchmarks)",
        Source = "TensorRT-LLM modules/fused_moe/routing.py, LoadBalancedMoeRoutingMethod",
        Evidence = Evidence.Read,
        Parameters = ["k", "activation"],
        Router = RouterForm.None,
        Score = Score.None,
        K = 2,
        ForceBalance = true,
        Gate = Gate.One,
        Activation = ExpertActivation.Silu,
        GatedExperts = true,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        TensorRt,
    ];
}
