namespace SparseExperts.Routing;

/// <summary>fairseq's moe branch, and BASE layers.</summary>
static class FairseqDialects
{
    static readonly string[] Settable = ["capacity_factor", "capacity", "capacity_fraction", "balance_coefficient", "activation"];

    static Dialect Top1 => new()
    {
        Name = "fairseq.top1",
        Summary = "top-1, raw gate; in evaluation a quarter of the tokens as capacity",
        Source = "fairseq top1gate.py",
        Evidence = Evidence.Recorded,
        Parameters = Settable,
        Padding = PaddingRule.Skipped,
        CapacityFormula = CapacityFormula.FactorTimesWholeShare,
        CapacityFraction = 0.25,
        Balance = BalanceLoss.Product,
        BalanceTokens = BalanceTokens.RealCountsOverAll,
        BalanceCoefficient = 0.01,
        LayerReduction = LayerReduction.Mean,
    };

    static Dialect Base => new()
    {
        Name = "fairseq.base",
        Summary = "balanced assignment by an auction that ends slightly short of the optimum; y = α·f(x) + (1 − α)·x",
        Source = "fairseq modules/base_layer.py and clib/libbase/balanced_assignment.cpp",
        Evidence = Evidence.Recorded,
        Parameters = ["activation"],
        Score = Score.SoftmaxPost,
        SelectBy = SelectBy.Logits,
        Selection = Selection.Auction,
        OpenOrder = true,
        Gate = Gate.SigmoidMix,
        Combination = Combination.Interpolated,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Top1,
        Top1 with
        {
            Name = "fairseq.top2",
            Summary = "second expert by Gumbel maximum; capacity 2·⌈T/E⌉, divided after dropping",
            Source = "fairseq top2gate.py",
            Parameters = [.. Settable, "policy", "normalize", "batch_prioritized"],
            K = 2,
            LaterBy = SelectBy.Logits,
            Policy = Policy.Sample,
            RandomTest = RandomTest.Twice,
            CapacityFormula = CapacityFormula.ChoicesTimesShare,
            OpenBatchTies = true,
            Normalize = Normalize.AfterDrop,
            NormalizeGuard = NormalizeGuard.AtLeast,
            NormalizeEpsilon = 1.1920928955078125e-07,
        },
        Base,
        Base with
        {
            Name = "lewis.base",
            Summary = "BASE with the optimal balanced assignment",
            Source = "Lewis et al. 2021, eq. 3",
            Evidence = Evidence.Paper,
            Selection = Selection.OptimalAssignment,
        },
    ];
}
