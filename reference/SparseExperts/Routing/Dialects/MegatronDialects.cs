namespace SparseExperts.Routing;

/// <summary>Megatron-Core's router, torchtitan's, ReMoE, and the Sinkhorn routers.</summary>
static class MegatronDialects
{
    static Dialect TopK => new()
    {
        Name = "megatron.topk",
        Summary = "softmax before or after the top-k, sigmoid or √softplus; groups, expert bias, drops by score",
        Source = "megatron moe_utils.py, topk_routing_with_score_function",
        Evidence = Evidence.Recorded,
        Parameters = ["k", "score", "groups", "groups_kept", "group_score", "scaling_factor", "capacity_factor", "capacity", "drop_policy", "jitter", "apply_gate_to", "bias_rate",
            "balance_coefficient", "z_coefficient", "activation"],
        RouterPolicy = RouterPolicy.InputJitter,
        RouterPolicyPhase = Phase.Always,
        Jitter = 0,
        Score = Score.SoftmaxPost,
        K = 2,
        CorrectionBias = true,
        BiasRate = 1e-3,
        GroupScore = new(2),
        Ties = TieRule.Unspecified,
        OpenOrder = true,
        CapacityFormula = CapacityFormula.ShareTimesFactor,
        CapacityRounding = CapacityRounding.Ceiling,
        CapacityFactor = -1,
        CapacityLimit = CapacityLimit.Unlimited,
        DropPolicy = DropPolicy.Score,
        Order = RequestOrder.TokenMajor,
        OpenDropTies = true,
        SlotOrder = SlotOrder.TokenAmongKept,
        Normalize = Normalize.SumUnlessSoftmax,
        NormalizeSingle = false,
        NormalizeGuard = NormalizeGuard.Added,
        NormalizeEpsilon = 1e-20,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.FreshTopK,
        BalanceMass = BalanceMass.Distribution,
        BalanceTokens = BalanceTokens.RealOverReal,
        BalanceScale = BalanceScale.ExpertsOverChoices,
        BalanceCoefficient = 0,
        LossPhase = Phase.Training,
        ZLoss = ZLoss.RealTokens,
        ZPhase = Phase.Training,
    };

    static Dialect Sinkhorn => new()
    {
        Name = "megatron.sinkhorn",
        Summary = "Sinkhorn-balanced selection in training, sigmoid or softmax gates",
        Source = "megatron router.py, sinkhorn_load_balancing",
        Evidence = Evidence.Recorded,
        Parameters = ["k", "activation"],
        Score = Score.SoftmaxPost,
        SelectBy = SelectBy.Logits,
        Selection = Selection.Sinkhorn,
        Ties = TieRule.Unspecified,
        OpenOrder = true,
        Gate = Gate.SigmoidOrSoftmax,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        TopK,
        Sinkhorn,
        new()
        {
            Name = "megatron.quantile",
            Summary = "top-k of logits minus each expert's running quantile; no auxiliary loss",
            Source = "megatron moe_utils.py, qb_dual_update",
            Evidence = Evidence.Read,
            Parameters = ["k", "scaling_factor", "activation"],
            SelectBy = SelectBy.Logits,
            Selection = Selection.Quantile,
            K = 2,
            CorrectionBias = true,
            Ties = TieRule.Unspecified,
            OpenOrder = true,
        },
        new()
        {
            Name = "torchtitan.topk",
            Summary = "sigmoid scores, bias for selection only, its step centred",
            Source = "torchtitan models/common/moe.py, TokenChoiceTopKRouter",
            Evidence = Evidence.Recorded,
            Parameters = ["k", "score", "normalize", "scaling_factor", "groups", "groups_kept", "group_score", "group_mask", "bias_rate", "activation"],
            Score = Score.Sigmoid,
            K = 2,
            CorrectionBias = true,
            BiasRate = 1e-3,
            BiasCentred = true,
            GroupScore = new(2),
            Ties = TieRule.Unspecified,
            OpenOrder = true,
            NormalizeGuard = NormalizeGuard.Added,
            NormalizeEpsilon = 1e-20,
        },
        Sinkhorn with
        {
            Name = "clark.s_base",
            Summary = "Sinkhorn-balanced selection, softmax gate",
            Source = "Clark et al. 2022, section 3.1 and appendix B",
            Evidence = Evidence.Paper,
            Score = Score.Softmax,
            Gate = Gate.Score,
            Ties = TieRule.Lowest,
            OpenOrder = false,
        },
        new()
        {
            Name = "remoe.relu",
            Summary = "every expert with a positive score; an L1 loss whose coefficient adapts to the wanted sparsity",
            Source = "remoe router.py, ReLURouter",
            Evidence = Evidence.Read,
            Parameters = ["k", "balance_coefficient", "activation"],
            Score = Score.Relu,
            Selection = Selection.PositiveScores,
            Balance = BalanceLoss.Product,
            BalanceCount = BalanceCount.AllChoices,
            BalanceScale = BalanceScale.ExpertsOverChoices,
            BalanceCoefficient = 1e-8,
            LossPhase = Phase.Training,
            AdaptiveSparsity = true,
        },
    ];
}
