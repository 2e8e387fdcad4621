namespace SparseExperts.Routing;

/// <summary>Mesh-TensorFlow's moe.py, and the Switch paper that describes part of it.</summary>
static class MeshDialects
{
    static readonly string[] Settable = ["capacity_factor", "capacity", "min_capacity", "microbatches", "balance_coefficient", "z_coefficient", "activation"];
    static readonly string[] Policies =
        [.. Settable, "router_policy", "jitter", "input_dropout", "temperature", "second_place_probability", "second_place_temperature"];
    static readonly string[] Later = [.. Settable, "policy", "threshold"];

    static Dialect Switch => new()
    {
        Name = "mesh.switch",
        Summary = "the Switch Transformer's own code: top-1, token order, at least 4 slots",
        Source = "mesh moe.py, _switch_gating",
        Evidence = Evidence.Recorded,
        Parameters = Policies,
        RouterDtype = NumberFormat.Float32,
        RouterPolicy = RouterPolicy.InputJitter,
        Padding = PaddingRule.Skipped,
        CapacityFormula = CapacityFormula.PerToken,
        CapacityFactor = 1.25,
        EvalCapacityFactor = 2.0,
        CapacityLimit = CapacityLimit.TokensThenMinimum,
        MinCapacity = 4,
        Balance = BalanceLoss.Product,
        BalanceTokens = BalanceTokens.ScaledByRealShare,
        BalanceCoefficient = 0.01,
        ZLoss = ZLoss.RealTokens,
        ZPhase = Phase.Training,
        GroupSize = 1024,
    };

    static Dialect Top2 => Switch with
    {
        Name = "mesh.top_2",
        Summary = "two choices, the second by a policy that is random in evaluation too; divided before dropping",
        Source = "mesh moe.py, _top_2_gating",
        Parameters = [.. Later, "second_place_loss"],
        RouterPolicy = RouterPolicy.Argmax,
        K = 2,
        Taken = Taken.Zeroed,
        Policy = Policy.Random,
        Threshold = 0.2,
        Normalize = Normalize.BeforeDrop,
        NormalizeGuard = NormalizeGuard.Added,
        NormalizeEpsilon = 1e-9,
        BalanceTokens = BalanceTokens.RealOverAll,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        new()
        {
            Name = "fedus.switch",
            Summary = "the Switch paper's equations 1–6: capacity tokens/E·cf without minimum, gate p, loss α·E·Σ f·P",
            Source = "Fedus et al. 2022, eq. 1–6",
            Evidence = Evidence.Paper,
            Parameters = ["capacity_factor", "capacity", "jitter", "balance_coefficient", "activation"],
            RouterPolicy = RouterPolicy.InputJitter,
            CapacityFormula = CapacityFormula.ShareTimesFactor,
            CapacityFactor = 1.25,
            EvalCapacityFactor = 2.0,
            Balance = BalanceLoss.Product,
            BalanceCoefficient = 0.01,
        },
        Switch,
        Switch with
        {
            Name = "mesh.switch_max",
            Summary = "top-1; when an expert is full its best tokens keep their place",
            Source = "mesh moe.py, _switch_max_gating",
            DropPolicy = DropPolicy.Score,
            SlotOrder = SlotOrder.Descending,
        },
        Switch with
        {
            Name = "mesh.ntlb",
            Summary = "no token left behind: up to k passes, each token routed once",
            Source = "mesh moe.py, _ntlb_gating",
            Parameters = [.. Policies, "k"],
            JitterAlone = true,
            Selection = Selection.Cascade,
            K = 4,
            BalanceCount = BalanceCount.Candidates,
        },
        Switch with
        {
            Name = "mesh.expert_selection",
            Summary = "experts choose; softmax over tokens, divided by the number of experts that took the token",
            Source = "mesh moe.py, _expert_selection_gating",
            Parameters = [.. Settable, "router_policy", "jitter", "input_dropout"],
            PaddingLogits = PaddingLogits.Lowered,
            Padding = PaddingRule.Routed,
            Score = Score.SoftmaxOverTokens,
            Selection = Selection.ExpertChoice,
            SlotOrder = SlotOrder.Descending,
            Gate = Gate.ScorePerExpertCount,
            Balance = BalanceLoss.TokenSquares,
        },
        Top2,
        Top2 with
        {
            Name = "mesh.top_n",
            Summary = "n choices, one policy for all later ones; divided before dropping if n > 1",
            Source = "mesh moe.py, _top_n_gating",
            Parameters = [.. Later, "k"],
            K = 3,
            NormalizeSingle = false,
        },
        Top2 with
        {
            Name = "mesh.two_level",
            Summary = "top-2 over groups of experts, then top-2 inside, capacity at both levels (as it was meant: the class crashes)",
            Source = "mesh moe.py, transformer_moe_layer_v2",
            Evidence = Evidence.Read,
            Parameters = [.. Later, "groups"],
            Selection = Selection.TwoLevelCapacity,
            Groups = 2,
            GroupsKept = 2,
        },
    ];
}
