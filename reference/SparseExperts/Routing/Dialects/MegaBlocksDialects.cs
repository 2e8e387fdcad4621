namespace SparseExperts.Routing;

/// <summary>MegaBlocks: with and without a capacity.</summary>
static class MegaBlocksDialects
{
    static Dialect Dropless => new()
    {
        Name = "megablocks.dropless",
        Summary = "nothing is dropped; gates as they are, or over their sum or norm",
        Source = "megablocks layers/router.py and layers/moe.py, batched_load_balancing_loss",
        Evidence = Evidence.Recorded,
        Parameters = ["k", "jitter", "normalize", "balance_coefficient", "z_coefficient", "activation"],
        RouterPolicy = RouterPolicy.InputJitter,
        Jitter = 0,
        K = 2,
        Ties = TieRule.Unspecified,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.AllChoices,
        BalanceScale = BalanceScale.ExpertsOverChoices,
        BalanceCoefficient = 0.1,
        LossPhase = Phase.Training,
        ZLoss = ZLoss.AllTokens,
        ZPhase = Phase.Training,
        LayerReduction = LayerReduction.Mean,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Dropless with
        {
            Name = "megablocks.dropping",
            Summary = "the first C of each expert's bin stay, token by token",
            Source = "megablocks layers/moe.py",
            Evidence = Evidence.Read,
            Parameters = [.. Dropless.Parameters, "capacity_factor", "capacity"],
            CapacityFormula = CapacityFormula.FactorTimesShare,
            Order = RequestOrder.TokenMajor,
        },
        Dropless,
    ];
}
