namespace SparseExperts.Routing;

/// <summary>FastMoE's gates.</summary>
static class FastMoeDialects
{
    static Dialect Naive => new()
    {
        Name = "fastmoe.naive",
        Summary = "softmax over the k chosen logits, nothing else",
        Source = "fastmoe gates/naive_gate.py",
        Evidence = Evidence.Recorded,
        Parameters = ["k", "activation"],
        RouterBias = true,
        Score = Score.SoftmaxPost,
        SelectBy = SelectBy.Logits,
        K = 2,
        Ties = TieRule.Unspecified,
        OpenOrder = true,
    };

    static Dialect Gshard => Naive with
    {
        Name = "fastmoe.gshard",
        Summary = "naive top-2 with a capacity and a random second choice",
        Source = "fastmoe gates/gshard_gate.py",
        Parameters = ["k", "capacity_factor", "capacity", "policy", "balance_coefficient", "activation"],
        Policy = Policy.Random,
        RandomTest = RandomTest.NotBelow,
        CapacityFormula = CapacityFormula.WholeChoicesPerExpert,
        CapacityFactor = 1.2,
        EvalCapacityFactor = 2.4,
        Order = RequestOrder.TokenMajor,
        OpenDropTies = true,
        Balance = BalanceLoss.Product,
        BalanceMass = BalanceMass.SoftmaxOfLogits,
        BalanceCoefficient = 0.01,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Naive,
        Gshard,
        new()
        {
            Name = "fastmoe.switch",
            Summary = "0.9 … 1.1 added to the logits in training; f and P over kept tokens",
            Source = "fastmoe gates/switch_gate.py",
            Evidence = Evidence.Recorded,
            Parameters = ["k", "capacity_factor", "capacity", "balance_coefficient", "activation"],
            RouterBias = true,
            Noise = LogitNoise.UniformShift,
            Ties = TieRule.Unspecified,
            CapacityFormula = CapacityFormula.FactorTimesTokens,
            CapacityRounding = CapacityRounding.Ceiling,
            CapacityFactor = 1.2,
            EvalCapacityFactor = 2.4,
            Order = RequestOrder.TokenMajor,
            OpenDropTies = true,
            Balance = BalanceLoss.Product,
            BalanceCount = BalanceCount.KeptShare,
            BalanceCoefficient = 0.01,
        },
        Naive with
        {
            Name = "fastmoe.noisy",
            Summary = "noisy top-k with the unbiased variance",
            Source = "fastmoe gates/noisy_gate.py",
            Parameters = ["k", "noise_epsilon", "importance_coefficient", "load_coefficient", "activation"],
            RouterBias = false,
            OpenOrder = false,
            Noise = LogitNoise.NormalSoftplus,
            Importance = ImportanceLoss.Gates,
            ImportanceCoefficient = 0.01,
            Load = LoadLoss.ExcludingItself,
            LoadCoefficient = 0.01,
            Variance = Variance.Unbiased,
            VarianceEpsilon = 1e-10,
        },
        Gshard with
        {
            Name = "fastmoe.dc",
            Summary = "the GShard gate with a capacity of cf·S for every expert",
            Source = "fastmoe gates/dc_gate.py",
            Evidence = Evidence.Read,
            CapacityFormula = CapacityFormula.FactorTimesAllTokens,
            CapacityRounding = CapacityRounding.Ceiling,
        },
    ];
}
