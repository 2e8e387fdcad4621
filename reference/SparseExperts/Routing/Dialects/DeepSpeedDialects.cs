namespace SparseExperts.Routing;

/// <summary>DeepSpeed's sharded_moe.py, now and before a fix, and PR-MoE.</summary>
static class DeepSpeedDialects
{
    const double SingleEpsilon = 1.1920928955078125e-07;
    static readonly string[] Settable = ["capacity_factor", "capacity", "min_capacity", "drop_policy", "balance_coefficient", "activation"];

    static Dialect Top1 => new()
    {
        Name = "deepspeed.top1",
        Summary = "random token selection, also in evaluation; capacity in float32",
        Source = "deepspeed sharded_moe.py, top1gating",
        Evidence = Evidence.Recorded,
        Parameters = [.. Settable, "noise_policy", "jitter"],
        RouterDtype = NumberFormat.Float32,
        Padding = PaddingRule.Skipped,
        CapacityFormula = CapacityFormula.ShareTimesFactorSingle,
        CapacityRounding = CapacityRounding.Ceiling,
        MinCapacity = 4,
        DropPolicy = DropPolicy.Random,
        OpenDropTies = true,
        SlotOrder = SlotOrder.TokenAmongKept,
        Balance = BalanceLoss.Product,
        BalanceTokens = BalanceTokens.RealCountsOverAll,
        BalanceLevel = BalanceLevel.Batch,
        BalanceCoefficient = 0.01,
    };

    static Dialect TopK => Top1 with
    {
        Name = "deepspeed.topk",
        Summary = "k choices, drops by probability, divided after dropping",
        Source = "deepspeed sharded_moe.py, topkgating",
        Parameters = [.. Settable, "k"],
        Padding = PaddingRule.Routed,
        K = 3,
        Ties = TieRule.Unspecified,
        DropPolicy = DropPolicy.Score,
        Normalize = Normalize.AfterDrop,
        NormalizeGuard = NormalizeGuard.AtLeast,
        NormalizeEpsilon = SingleEpsilon,
        Order = RequestOrder.TokenMajor,
        BalanceCount = BalanceCount.AllChoices,
        BalanceTokens = BalanceTokens.All,
        BalanceScale = BalanceScale.ExpertsOverChoices,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Top1,
        Top1 with
        {
            Name = "deepspeed.top2",
            Summary = "second expert by Gumbel maximum, also in evaluation; divided after dropping",
            Source = "deepspeed sharded_moe.py, top2gating",
            Parameters = [.. Settable, "policy"],
            Padding = PaddingRule.Routed,
            K = 2,
            LaterBy = SelectBy.Logits,
            Policy = Policy.Sample,
            DropPolicy = DropPolicy.Position,
            OpenDropTies = false,
            SlotOrder = SlotOrder.Arrival,
            Normalize = Normalize.AfterDrop,
            NormalizeGuard = NormalizeGuard.AtLeast,
            NormalizeEpsilon = SingleEpsilon,
            BalanceTokens = BalanceTokens.All,
        },
        TopK,
        TopK with
        {
            Name = "deepspeed.topk_2025",
            Summary = "before #7986 was fixed: drops ranked by raw logits, so that a negative one loses to those who did not ask",
            Source = "deepspeed 38327e07 sharded_moe.py, topkgating",
            Evidence = Evidence.Read,
            SelectBy = SelectBy.Logits,
            DropPolicy = DropPolicy.Logit,
        },
        Top1 with
        {
            Name = "deepspeed.residual",
            Summary = "PR-MoE: dense and sparse output mixed by a learned pair",
            Source = "deepspeed moe/layer.py, use_residual",
            Evidence = Evidence.Read,
            SharedExpert = true,
            Combination = Combination.LearnedPair,
        },
    ];
}
