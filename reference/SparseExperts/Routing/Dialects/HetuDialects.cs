namespace SparseExperts.Routing;

/// <summary>Hetu's gates; expert prototyping comes from M6-T.</summary>
static class HetuDialects
{
    static Dialect TopK => new()
    {
        Name = "hetu.topk",
        Summary = "top-k whose slots are counted from the last choice, so that two tokens can meet in one",
        Source = "hetu TopGate.py",
        Evidence = Evidence.Read,
        Parameters = ["k", "capacity_factor", "capacity", "balance_coefficient", "activation"],
        K = 2,
        Ties = TieRule.Unspecified,
        CapacityFormula = CapacityFormula.ChoicesTimesCeiling,
        CapacityRounding = CapacityRounding.Ceiling,
        DroppedOutput = DroppedOutput.CollidingSlot,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.AllChoices,
        BalanceCoefficient = 0.01,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        TopK,
        TopK with
        {
            Name = "hetu.k_top_1",
            Summary = "expert prototyping: softmax and top-1 inside each of k parts of the experts",
            Source = "hetu KTop1Gate.py; M6-T, Yang et al. 2021",
            Score = Score.SoftmaxPerPrototype,
            Selection = Selection.OnePerPrototype,
            DroppedOutput = DroppedOutput.Zero,
            BalanceScale = BalanceScale.ExpertsOverChoices,
        },
        TopK with
        {
            Name = "hetu.sam",
            Summary = "the part of the experts with the largest mass, top-k inside, and a loss on mass outside",
            Source = "hetu SAMGate.py",
            Parameters = [.. TopK.Parameters, "groups"],
            Selection = Selection.BestPartThenTopK,
            Groups = 2,
            DroppedOutput = DroppedOutput.Zero,
            AlignmentCoefficient = 0.01,
        },
    ];
}
