namespace SparseExperts.Routing;

/// <summary>Routers that inference engines have of their own, beside those of the models that they serve.</summary>
static class EngineDialects
{
    static Dialect Static => new()
    {
        Name = "trtllm.static",
        Summary = "no router: row t of a table says the experts of token t, with weights that stand beside them or 1",
        Source = "TensorRT-LLM modules/fused_moe/routing.py, StaticMoeRoutingMethod",
        Evidence = Evidence.Read,
        Parameters = ["k", "activation"],
        Router = RouterForm.None,
        Score = Score.None,
        Selection = Selection.PlaceTable,
        K = 2,
        Gate = Gate.Table,
        Activation = ExpertActivation.Silu,
        GatedExperts = true,
    };

    /// <summary>DeepSeek-V3's router as engines compute it: groups at −∞, no guard.</summary>
    static Dialect DeepSeek => BuiltIn.Own(DeepSeekDialects.All, "deepseek.inference_v3") with { Evidence = Evidence.Read };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Static,
        Static with
        {
            Name = "trtllm.load_balanced",
            Summary = "no router: experts go round from token to token, each with weight 1 (a load for benchmarks)",
            Source = "TensorRT-LLM modules/fused_moe/routing.py, LoadBalancedMoeRoutingMethod",
            Selection = Selection.TopK,
            ForceBalance = true,
            Gate = Gate.One,
        },
        new()
        {
            Name = "trtllm.adaptive_k",
            Summary = "softmax; the less certain a token's scores are, the more of its k best it takes, over the sum of those (proposed, not merged)",
            Source = "TensorRT-LLM #10672, AdaptiveKMoeRoutingMethod",
            Evidence = Evidence.Read,
            Parameters = ["k", "k_least", "threshold", "upper_threshold", "score_dtype", "activation"],
            ScoreDtype = NumberFormat.Float32,
            GateDtype = NumberFormat.Float32,
            K = 4,
            KLeast = 2,
            Threshold = 1.3,
            UpperThreshold = 1.7,
            Policy = Policy.Entropy,
            Ties = TieRule.Unspecified,
            Normalize = Normalize.AfterDrop,
            NormalizeGuard = NormalizeGuard.Added,
            NormalizeEpsilon = 1e-9,
            Activation = ExpertActivation.Silu,
            GatedExperts = true,
        },
        DeepSeek with
        {
            Name = "sglang.fused_shared",
            Summary = "DeepSeek-V3's router; shared experts are choices more, whose gates the others give (claim.shared_gate), no constant 1",
            Source = "sglang layers/moe/topk.py and moe_fused_gate, num_fused_shared_experts",
            Parameters = [.. DeepSeek.Parameters, "shared_choices"],
            RouterDtype = NumberFormat.Float32,
            SharedChoices = 1,
        },
    ];
}
