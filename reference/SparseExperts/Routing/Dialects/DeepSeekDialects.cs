namespace SparseExperts.Routing;

/// <summary>DeepSeek's routers and what follows them.</summary>
static class DeepSeekDialects
{
    static readonly string[] Settable = ["k", "groups", "groups_kept", "group_score", "group_mask", "normalize", "scaling_factor", "score", "router_dtype",
        "activation", "activation_alpha", "activation_limit"];

    static Dialect V3 => new()
    {
        Name = "hf.deepseek_v3",
        Summary = "sigmoid plus bias, group-limited, over their sum, scaled; shared expert",
        Source = "transformers modeling_deepseek_v3.py",
        Evidence = Evidence.Recorded,
        Parameters = Settable,
        RouterWeightDtype = NumberFormat.Float32,
        RouterDtype = NumberFormat.Float32,
        ScoreDtype = NumberFormat.Float32,
        GateDtype = NumberFormat.Float32,
        Score = Score.Sigmoid,
        K = 2,
        CorrectionBias = true,
        BiasRate = 1e-3,
        GroupScore = new(2),
        GroupMask = GroupMask.Zero,
        Ties = TieRule.Unspecified,
        OpenOrder = true,
        Normalize = Normalize.Sum,
        NormalizeGuard = NormalizeGuard.Added,
        NormalizeEpsilon = 1e-20,
        Activation = ExpertActivation.Silu,
        GatedExperts = true,
        SharedExpert = true,
    };

    static Dialect V4 => V3.InTokensFormat() with
    {
        Name = "hf.deepseek_v4",
        Summary = "√softplus plus bias, over their sum, times 1.5; limited gated experts; the balance loss takes a softmax of the raw logits",
        Source = "transformers modeling_deepseek_v4.py, TopKRouter",
        Parameters = [.. Settable, "balance_coefficient"],
        Score = Score.SqrtSoftplus,
        ScalingFactor = 1.5,
        GroupMask = GroupMask.MinusInfinity,
        Activation = ExpertActivation.SwigluLimited,
        ActivationLimit = 10,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.FreshTopK,
        BalanceMass = BalanceMass.SoftmaxOfLogits,
        BalanceTokens = BalanceTokens.RealOverReal,
        BalanceLevel = BalanceLevel.Batch,
        BalanceCoefficient = 0.001,
        EvalBalanceCoefficient = 0,
        LayerReduction = LayerReduction.Pooled,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        V3 with
        {
            Name = "hf.deepseek_v2",
            Summary = "softmax, a group scores its best expert, other groups at 0; not divided, scaled; shared expert",
            Source = "transformers modeling_deepseek_v2.py",
            Score = Score.Softmax,
            CorrectionBias = false,
            GroupScore = GroupScore.Max,
            Normalize = Normalize.None,
            NormalizeGuard = NormalizeGuard.None,
        },
        V3,
        V3 with { Name = "hf.glm4_moe", Summary = "as DeepSeek-V3 with its own defaults", Source = "transformers modeling_glm4_moe.py" },
        V4,
        V3.InTokensFormat() with
        {
            Name = "deepseek.inference_v3",
            Summary = "DeepSeek's own inference code: other groups at −∞, sum without guard, times 2.5",
            Source = "DeepSeek-V3 inference/model.py, Gate",
            Evidence = Evidence.Read,
            GroupMask = GroupMask.MinusInfinity,
            NormalizeGuard = NormalizeGuard.None,
            NormalizeEpsilon = 0,
            ScalingFactor = 2.5,
        },
        V4 with
        {
            Name = "deepseek.hash",
            Summary = "experts by token id, gates learned: the first layers of DeepSeek-V4",
            Source = "transformers modeling_deepseek_v4.py, HashRouter",
            Parameters = Settable,
            Balance = BalanceLoss.None,
            BalanceCoefficient = 0,
            EvalBalanceCoefficient = null,
            LayerReduction = LayerReduction.Sum,
            Selection = Selection.HashTable,
            CorrectionBias = false,
            OpenOrder = false,
            Ties = TieRule.Lowest,
        },
        V4.Float32Router() with
        {
            Name = "deepseek.v41",
            Summary = "√softplus plus a bias of text or one of images (task_ids 1), over their sum, times 1.5; temperature as logits_scale; limited experts",
            Source = "transformers modeling_deepseek_v41.py, TopKRouter",
            Evidence = Evidence.Read,
            Parameters = [.. Settable, "logits_scale"],
            BiasOfImages = true,
            NormalizeSingle = false,
            ActivationDtype = NumberFormat.Float32,
            SumDtype = NumberFormat.Float32,
            Balance = BalanceLoss.None,
            BalanceCount = default,
            BalanceMass = default,
            BalanceTokens = default,
            BalanceLevel = default,
            BalanceCoefficient = 0,
            EvalBalanceCoefficient = null,
            LayerReduction = LayerReduction.Sum,
        },
    ];
}
