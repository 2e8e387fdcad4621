namespace SparseExperts.Routing;

/// <summary>GShard: the paper and Lingvo's gshard_layers.py.</summary>
static class LingvoDialects
{
    static Dialect Top2 => new()
    {
        Name = "lingvo.top2",
        Summary = "GShard's own code: two choices, divided before dropping (legacy) or at the very end",
        Source = "lingvo gshard_layers.py, Top2GatingOnLogits",
        Evidence = Evidence.Recorded,
        Parameters = ["capacity_factor", "capacity", "policy", "threshold", "normalize", "loss_denominator", "balance_coefficient", "activation"],
        K = 2,
        Taken = Taken.Zeroed,
        Padding = PaddingRule.Skipped,
        CapacityFormula = CapacityFormula.LingvoRaised,
        CapacityFactor = 2,
        Normalize = Normalize.BeforeDrop,
        NormalizeGuard = NormalizeGuard.Added,
        NormalizeEpsilon = 1e-9,
        LateNormalizeGuard = NormalizeGuard.OneUnlessPositive,
        Balance = BalanceLoss.Product,
        BalanceTokens = BalanceTokens.RealOverRealShare,
        BalanceCoefficient = 0.01,
    };

    static Dialect Shuffle => new()
    {
        Name = "lingvo.token_shuffle",
        Summary = "experts choose; an operator precedence lets every expert take nearly all tokens",
        Source = "lingvo gshard_layers.py, TokenShufflingOnlogits",
        Evidence = Evidence.Recorded,
        Parameters = ["activation"],
        Selection = Selection.ExpertChoice,
        CapacityFormula = CapacityFormula.LingvoShuffle,
        SlotOrder = SlotOrder.Descending,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Top2 with
        {
            Name = "lepikhin.gshard",
            Summary = "the GShard paper's algorithm 1: second choice if 2·g > U, loss (1/E)·Σ f·P",
            Source = "Lepikhin et al. 2020, algorithm 1",
            Evidence = Evidence.Paper,
            Parameters = ["capacity_factor", "capacity", "policy", "balance_coefficient", "activation"],
            CapacityFormula = CapacityFormula.PerToken,
            Policy = Policy.Random,
            RandomTest = RandomTest.Twice,
            NormalizeGuard = NormalizeGuard.None,
            LateNormalizeGuard = null,
            BalanceTokens = BalanceTokens.All,
            BalanceScale = BalanceScale.OneOverExperts,
        },
        Top2,
        new()
        {
            Name = "lingvo.hash",
            Summary = "experts by token id; overflow and padding are added into slot 0",
            Source = "lingvo gshard_layers.py, HashGatingOnLogits",
            Evidence = Evidence.Recorded,
            Parameters = ["capacity", "capacity_factor", "activation"],
            Router = RouterForm.None,
            Score = Score.None,
            Selection = Selection.HashTable,
            Padding = PaddingRule.Skipped,
            CapacityFormula = CapacityFormula.LingvoRaised,
            CapacityFactor = 0,
            Capacity = 64,
            DroppedOutput = DroppedOutput.SharedSlot,
            Gate = Gate.One,
        },
        Shuffle,
        Shuffle with
        {
            Name = "lingvo.token_shuffle_v2",
            Summary = "experts choose among real tokens; slots in token order",
            Source = "lingvo gshard_layers.py, TokenShufflingOnlogitsV2",
            Parameters = ["capacity", "capacity_factor", "activation"],
            CapacityFormula = CapacityFormula.LingvoRaised,
            Padding = PaddingRule.PicksRemoved,
            SlotOrder = SlotOrder.TokenAmongKept,
        },
        Shuffle with
        {
            Name = "lingvo.optimal_transport",
            Summary = "experts choose after entropic transport of token-softmax scores (solver: Cuturi's)",
            Source = "lingvo gshard_layers.py, optimal transport gating",
            Evidence = Evidence.Read,
            Selection = Selection.OptimalTransport,
            Score = Score.SoftmaxOverTokens,
            K = 2,
            CapacityFormula = CapacityFormula.PerChoice,
        },
    ];
}
