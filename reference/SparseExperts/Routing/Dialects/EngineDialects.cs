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

    /// <summary>DeepSeek-V3's router as engines compute it: groups at −∞, no guard.</summary>
    static Dialect DeepSeek => BuiltIn.Own(DeepSeekDialects.All, "deepseek.inference_v3") with { Evidence = Evidence.Read };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        TensorRt,
        DeepSeek with
        {
            Name = "sglang.fused_shared",
            Summary = "DeepSeek-V3's router; the shared expert is one choice more, whose gate the gates give (claim.shared_gate), no constant 1",
            Source = "sglang layers/moe/topk.py, biased_grouped_topk_impl with num_fused_shared_experts 1",
            RouterDtype = NumberFormat.Float32,
            SharedAsChoice = true,
        },
    ];
}
