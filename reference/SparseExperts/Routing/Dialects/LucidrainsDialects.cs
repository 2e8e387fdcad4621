namespace SparseExperts.Routing;

/// <summary>lucidrains' PyTorch ports.</summary>
static class LucidrainsDialects
{
    static Dialect Top2 => new()
    {
        Name = "luc.moe_top2",
        Summary = "a port of mesh.top_2: a sequence is a group, ties are open",
        Source = "mixture_of_experts.py, Top2Gating",
        Evidence = Evidence.Recorded,
        Parameters = ["capacity_factor", "capacity", "min_capacity", "policy", "threshold", "balance_coefficient", "activation"],
        K = 2,
        Ties = TieRule.Unspecified,
        Taken = Taken.Zeroed,
        Policy = Policy.Random,
        Threshold = 0.2,
        Padding = PaddingRule.Skipped,
        CapacityFormula = CapacityFormula.PerToken,
        CapacityFactor = 1.25,
        EvalCapacityFactor = 2.0,
        CapacityLimit = CapacityLimit.TokensThenMinimum,
        MinCapacity = 4,
        Normalize = Normalize.BeforeDrop,
        NormalizeGuard = NormalizeGuard.Added,
        NormalizeEpsilon = 1e-9,
        Balance = BalanceLoss.Product,
        BalanceTokens = BalanceTokens.RealOverAll,
        BalanceCoefficient = 0.01,
        GroupSize = -1,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Top2,
        Top2 with
        {
            Name = "luc.st_moe",
            Summary = "n choices, straight-through dispatch, balance over kept first choices, no losses in evaluation",
            Source = "st_moe_pytorch.py, TopNGating",
            Parameters =
            [
                "k", "capacity_factor", "capacity", "min_capacity", "threshold", "noise_multiplier", "straight_through", "balance_coefficient",
                "z_coefficient", "activation",
            ],
            Noise = LogitNoise.Gumbel,
            NoisePhase = Phase.Always,
            Taken = Taken.Removed,
            Padding = PaddingRule.Routed,
            NormalizeGuard = NormalizeGuard.AtLeast,
            StraightThrough = true,
            BalanceCount = BalanceCount.KeptFirst,
            BalanceTokens = BalanceTokens.All,
            LossPhase = Phase.Training,
            ZLoss = ZLoss.AllTokens,
            ZPhase = Phase.Training,
            ZCoefficient = 0.001,
        },
    ];
}
