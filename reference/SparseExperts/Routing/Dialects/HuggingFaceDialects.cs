namespace SparseExperts.Routing;

/// <summary>Decoder models of transformers: all dropless, all with the pooled balance loss of Mixtral where they have one.</summary>
static class HuggingFaceDialects
{
    static readonly string[] Shared = ["k", "router_dtype", "activation", "activation_alpha", "activation_limit"];

    static Dialect Mixtral => new()
    {
        Name = "hf.mixtral",
        Summary = "softmax, top-k, over their sum; the balance loss pools the layers",
        Source = "transformers modeling_mixtral.py",
        Evidence = Evidence.Recorded,
        Parameters = [.. Shared, "jitter", "balance_coefficient"],
        RouterPolicy = RouterPolicy.InputJitter,
        Jitter = 0,
        JitterReach = JitterReach.RouterAndExperts,
        ScoreDtype = NumberFormat.Float32,
        GateDtype = NumberFormat.Float32,
        K = 2,
        Ties = TieRule.Unspecified,
        Normalize = Normalize.Sum,
        Activation = ExpertActivation.Silu,
        GatedExperts = true,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.FreshTopK,
        BalanceMass = BalanceMass.SoftmaxOfLogits,
        BalanceTokens = BalanceTokens.RealOverReal,
        BalanceLevel = BalanceLevel.Batch,
        BalanceCoefficient = 0.001,
        LayerReduction = LayerReduction.Pooled,
    };

    /// <summary>
    /// The balance loss of Mixtral in another rule: a softmax and a top-k of the raw logits, whatever their own scores, bias and groups, with all layers
    /// pooled.
    /// </summary>
    internal static Dialect Balanced(Dialect d, double coefficient) => d with
    {
        Parameters = [.. d.Parameters, "balance_coefficient"],
        Balance = Mixtral.Balance,
        BalanceCount = Mixtral.BalanceCount,
        BalanceMass = Mixtral.BalanceMass,
        BalanceTokens = Mixtral.BalanceTokens,
        BalanceLevel = Mixtral.BalanceLevel,
        BalanceCoefficient = coefficient,
        LayerReduction = Mixtral.LayerReduction,
    };

    static Dialect Qwen3 => Mixtral.GatesInTokensFormat() with
    {
        Name = "hf.qwen3_moe",
        Summary = "as Mixtral; gates divided only if norm_topk_prob",
        Source = "transformers modeling_qwen3_moe.py",
        Parameters = [.. Shared, "normalize", "balance_coefficient"],
        RouterPolicy = RouterPolicy.Argmax,
        JitterReach = JitterReach.Router,
        Normalize = Normalize.None,
    };

    /// <summary>The same without a balance loss.</summary>
    static Dialect Plain => Qwen3 with
    { Name = "", Parameters = Shared, Balance = BalanceLoss.None, BalanceCoefficient = 0, LayerReduction = LayerReduction.Sum };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Mixtral,
        Qwen3 with
        {
            Name = "hf.qwen2_moe",
            Summary = "as Qwen3, and a shared expert with a sigmoid gate",
            Source = "transformers modeling_qwen2_moe.py",
            SharedExpert = true,
            SharedGate = true,
        },
        Qwen3,
        Qwen3 with
        { Name = "hf.olmoe", Summary = "softmax, top-k, not divided by default", Source = "transformers modeling_olmoe.py", BalanceCoefficient = 0.01 },
        Qwen3 with
        {
            Name = "hf.jamba",
            Summary = "softmax, top-k, never divided",
            Source = "transformers modeling_jamba.py",
            Parameters = [.. Shared, "balance_coefficient"],
        },
        Mixtral.InTokensFormat() with
        {
            Name = "hf.dbrx",
            Summary = "softmax, top-k, divided by a p-norm; the loss takes one softmax although the router returns softmaxed values",
            Source = "transformers modeling_dbrx.py",
            Parameters = [.. Shared, "jitter", "normalize", "balance_coefficient"],
            BalanceCoefficient = 0.05,
        },
        Qwen3.InTokensFormat() with
        {
            Name = "hf.granitemoe",
            Summary = "top-k of logits, softmax over the chosen",
            Source = "transformers modeling_granitemoe.py",
            Parameters = [.. Shared, "balance_coefficient"],
            Score = Score.SoftmaxPost,
            SelectBy = SelectBy.Logits,
        },
        Qwen3.InTokensFormat() with
        {
            Name = "hf.gpt_oss",
            Summary = "router with bias, softmax over the chosen, clamped gated experts with biases; Mixtral's balance loss",
            Source = "transformers modeling_gpt_oss.py",
            Parameters = [.. Shared, "balance_coefficient"],
            BalanceCoefficient = 0.9,           // transformers 4; the class of version 5 has 0.001, which reading its configuration gives
            EvalBalanceCoefficient = 0,
            RouterBias = true,
            Score = Score.SoftmaxPost,
            SelectBy = SelectBy.Logits,
            Activation = ExpertActivation.SwigluClamped,
        },
        Plain with
        {
            Name = "hf.llama4",
            Summary = "top-1 of logits, its sigmoid multiplies the expert's input; shared expert",
            Source = "transformers modeling_llama4.py",
            Parameters = [.. Shared, "apply_gate_to"],
            K = 1,
            Score = Score.Sigmoid,
            SelectBy = SelectBy.Logits,
            ApplyGateTo = GatePlace.Input,
            SharedExpert = true,
        },
        Mixtral with { Name = "hf.minimax", Summary = "as Mixtral", Source = "transformers modeling_minimax.py" },
        Mixtral with
        {
            Name = "hf.minimax_m2",
            Summary = "sigmoid plus bias, over their sum without guard; the balance loss takes raw logits",
            Source = "transformers modeling_minimax_m2.py",
            Score = Score.Sigmoid,
            CorrectionBias = true,
            OpenOrder = true,
        },
        Plain.Float32Router() with
        {
            Name = "hf.longcat_flash",
            Summary = "softmax over routed and identity experts, chosen with a bias, not divided, times 6",
            Source = "transformers modeling_longcat_flash.py",
            Parameters = [.. Shared, "identity_experts", "scaling_factor"],
            CorrectionBias = true,
            OpenOrder = true,
            ScalingFactor = 6,
            IdentityExperts = 2,
        },
        Mixtral.InTokensFormat() with
        {
            Name = "hf.phimoe",
            Summary = "SparseMixer: each gate is a softmax over the logits near its winner",
            Source = "transformers modeling_phimoe.py",
            Parameters = [.. Shared, "threshold", "balance_coefficient"],
            RouterPolicy = RouterPolicy.Argmax,
            JitterReach = JitterReach.Router,
            Score = Score.SoftmaxPost,
            SelectBy = SelectBy.Logits,
            Selection = Selection.SparseMixer,
            Ties = TieRule.Lowest,
            Threshold = 0.01,
            Gate = Gate.NearWinner,
            Normalize = Normalize.None,
        },
        Plain.Float32RouterAndWeight() with
        {
            Name = "hf.hunyuan_v1_moe",
            Summary = "softmax, top-k, over their sum; shared expert",
            Source = "transformers modeling_hunyuan_v1_moe.py",
            Normalize = Normalize.Sum,
            SharedExpert = true,
        },
        Qwen3 with { Name = "hf.flex_olmo", Summary = "as OLMoE", Source = "transformers modeling_flex_olmo.py", BalanceCoefficient = 0.01 },
        Plain.InTokensFormat() with
        {
            Name = "hf.lfm2_moe",
            Summary = "sigmoid plus bias, over their sum + 10⁻⁶",
            Source = "transformers modeling_lfm2_moe.py",
            Parameters = [.. Shared, "normalize", "scaling_factor"],
            Score = Score.Sigmoid,
            CorrectionBias = true,
            OpenOrder = true,
            Normalize = Normalize.Sum,
            NormalizeGuard = NormalizeGuard.Added,
            NormalizeEpsilon = 1e-6,
        },
        Plain.Float32ScoresAndGates() with
        {
            Name = "hf.afmoe",
            Summary = "sigmoid plus bias, over their sum, scaled; shared expert",
            Source = "transformers modeling_afmoe.py",
            Parameters = [.. Shared, "normalize", "scaling_factor"],
            Score = Score.Sigmoid,
            CorrectionBias = true,
            OpenOrder = true,
            Normalize = Normalize.Sum,
            NormalizeGuard = NormalizeGuard.Added,
            NormalizeEpsilon = 1e-20,
            SharedExpert = true,
        },
        Plain.InTokensFormat() with
        {
            Name = "hf.cohere2_moe",
            Summary = "top-k of logits, softmax over the chosen or sigmoids; shared expert added or averaged",
            Source = "transformers modeling_cohere2_moe.py",
            Parameters = [.. Shared, "score", "normalize", "shared_combination"],
            Score = Score.SoftmaxPost,
            SelectBy = SelectBy.Logits,
            SharedExpert = true,
        },
        Mixtral.GatesInTokensFormat() with
        {
            Name = "hf.qwen3_5_moe",
            Summary = "as Mixtral, and a shared expert with a sigmoid gate",
            Source = "transformers modeling_qwen3_5_moe.py",
            Parameters = [.. Shared, "balance_coefficient"],
            RouterPolicy = RouterPolicy.Argmax,
            JitterReach = JitterReach.Router,
            SharedExpert = true,
            SharedGate = true,
        },
        Qwen3.Float32RouterAndWeight().GatesInTokensFormat() with
        {
            Name = "hf.ernie4_5_moe",
            Summary = "chosen by softmax plus bias, softmax values over their sum; shared expert; Mixtral's balance loss",
            Source = "transformers modeling_ernie4_5_moe.py",
            Parameters = [.. Shared, "balance_coefficient"],
            EvalBalanceCoefficient = 0,
            CorrectionBias = true,
            Normalize = Normalize.Sum,
            NormalizeGuard = NormalizeGuard.AtLeast,
            NormalizeEpsilon = 1e-12,
            SharedExpert = true,
        },
    ];
}
