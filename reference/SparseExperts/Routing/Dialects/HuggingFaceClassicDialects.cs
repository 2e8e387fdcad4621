namespace SparseExperts.Routing;

/// <summary>Switch and NLLB-MoE in transformers 4 and, with their regressions, in early 5.</summary>
static class HuggingFaceClassicDialects
{
    const double SingleEpsilon = 1.1920928955078125e-07;

    static Dialect Switch => new()
    {
        Name = "hf.switch.v4",
        Summary = "transformers 4.57: 64 slots a sequence, jitter leaks into the experts, dropped tokens count for expert 0",
        Source = "transformers 4.57 modeling_switch_transformers.py",
        Evidence = Evidence.Recorded,
        Parameters = ["capacity", "jitter", "router_dtype", "balance_coefficient", "z_coefficient", "activation"],
        RouterDtype = NumberFormat.Float32,
        RouterPolicy = RouterPolicy.InputJitter,
        JitterReach = JitterReach.InPlaceUnlessCast,
        CapacityFormula = CapacityFormula.Given,
        Capacity = 64,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.DroppedAsFirstExpert,
        BalanceMass = BalanceMass.SoftmaxOfLogits,
        BalanceCoefficient = 0.001,
        ZLoss = ZLoss.AllTokens,
        ZCoefficient = 0.001,
        LayerReduction = LayerReduction.Pooled,
        GroupSize = -1,
    };

    static Dialect Nllb => new()
    {
        Name = "hf.nllb_moe.v4",
        Summary = "transformers 4.57: two choices over the whole batch, divided after dropping",
        Source = "transformers 4.57 modeling_nllb_moe.py",
        Evidence = Evidence.Recorded,
        Parameters =
        [
            "capacity", "capacity_fraction", "policy", "normalize", "batch_prioritized", "token_dropout", "ignore_padding", "balance_coefficient", "activation",
        ],
        RouterDtype = NumberFormat.Float32,
        K = 2,
        LaterBy = SelectBy.Logits,
        RandomTest = RandomTest.TwiceRaw,
        Padding = PaddingRule.Skipped,
        CapacityFormula = CapacityFormula.GivenOrChoicesTimesShare,
        OpenBatchTies = true,
        CapacityFraction = 1.0,
        Normalize = Normalize.AfterDrop,
        NormalizeGuard = NormalizeGuard.AtLeast,
        NormalizeEpsilon = SingleEpsilon,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.DroppedAsFirstExpert,
        BalanceMass = BalanceMass.Gates,
        BalanceCoefficient = 0.001,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Switch,
        Switch with
        {
            Name = "hf.switch.v5",
            Summary = "transformers 5.0: the capacity is never enforced, no router losses",
            Source = "transformers 5.0 modeling_switch_transformers.py",
            Parameters = ["capacity", "jitter", "activation"],
            CapacityFormula = CapacityFormula.UnlessZero,
            Balance = BalanceLoss.None,
            BalanceCoefficient = 0,
            ZLoss = ZLoss.None,
            ZCoefficient = 0,
        },
        Nllb,
        Nllb with
        {
            Name = "hf.nllb_moe.v5",
            Summary = "transformers 5: a mask read as indices sends every token to experts 1 and 0",
            Source = "transformers 5.23 modeling_nllb_moe.py",
            Combination = Combination.MaskReadAsIndices,
            BalanceCount = BalanceCount.FreshTopK,
            BalanceMass = BalanceMass.SoftmaxOfLogits,
            BalanceTokens = BalanceTokens.RealOverReal,
            LayerReduction = LayerReduction.Pooled,
        },
    ];
}
