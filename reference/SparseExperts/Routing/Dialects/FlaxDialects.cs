namespace SparseExperts.Routing;

/// <summary>Flaxformer's routers (T5X), and the expert-choice paper.</summary>
static class FlaxDialects
{
    static readonly string[] Settable =
        ["capacity", "capacity_factor", "min_capacity", "jitter", "ignore_padding", "balance_coefficient", "z_coefficient", "activation"];

    static Dialect Masked => new()
    {
        Name = "flax.tokens_choose_masked",
        Summary = "top-k, raw probabilities as gates, f counts all choices",
        Source = "flaxformer routing.py, TokensChooseMaskedRouter",
        Evidence = Evidence.Recorded,
        Parameters = [.. Settable, "k", "batch_prioritized"],
        RouterPolicy = RouterPolicy.InputJitter,
        Jitter = 0,
        IgnorePadding = false,
        Padding = PaddingRule.Skipped,
        PaddingLogits = PaddingLogits.Zeroed,
        CapacityFormula = CapacityFormula.PerToken,
        CapacityRounding = CapacityRounding.Round,
        CapacityFactor = 1.25,
        EvalCapacityFactor = 2.0,
        MinCapacity = 4,
        Balance = BalanceLoss.Product,
        BalanceCount = BalanceCount.AllChoices,
        BalanceTokens = BalanceTokens.RealOverAll,
        BalanceCoefficient = 0.01,
        ZLoss = ZLoss.AllTokens,
        LayerReduction = LayerReduction.Mean,
        GroupSize = 4096,
        GroupSplit = GroupSplit.MultipleOfExperts,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Masked,
        Masked with
        {
            Name = "flax.tokens_choose_scatter",
            Summary = "as the masked router, but padding takes slots of experts 0 … k − 1",
            Source = "flaxformer routing.py, TokensChooseScatterRouter",
            Padding = PaddingRule.ScoresZeroed,
            BalanceTokens = BalanceTokens.RealMassOverAll,
        },
        Masked with
        {
            Name = "flax.experts_choose",
            Summary = "experts choose; softmax over experts, raw gates, no balance loss",
            Source = "flaxformer routing.py, ExpertsChooseMaskedRouter",
            Parameters = Settable,
            Selection = Selection.ExpertChoice,
            Padding = PaddingRule.ScoresZeroed,
            CapacityFactor = 1,
            EvalCapacityFactor = null,
            SlotOrder = SlotOrder.Descending,
            Balance = BalanceLoss.None,
            BalanceCoefficient = 0,
        },
        new()
        {
            Name = "zhou.expert_choice",
            Summary = "the paper: softmax over experts, each expert takes k·n/E tokens",
            Source = "Zhou et al. 2022, section 3.2",
            Evidence = Evidence.Paper,
            Parameters = ["k", "capacity", "capacity_factor", "activation"],
            Selection = Selection.ExpertChoice,
            K = 2,
            CapacityFormula = CapacityFormula.PerChoice,
            SlotOrder = SlotOrder.Descending,
        },
    ];
}
