namespace SparseExperts.Routing;

/// <summary>Noisy top-k and its relatives: the paper of 2017 and Tensor2Tensor.</summary>
static class ShazeerDialects
{
    static readonly string[] Settable = ["k", "noise_epsilon", "importance_coefficient", "load_coefficient", "activation"];

    static Dialect NoisyTopK => new()
    {
        Name = "t2t.noisy_topk",
        Summary = "Tensor2Tensor's local_moe: noise on logits, softmax over the k kept ones, importance and load",
        Source = "tensor2tensor expert_utils.py, noisy_top_k_gating",
        Evidence = Evidence.Recorded,
        Parameters = Settable,
        Noise = LogitNoise.NormalSoftplus,
        Score = Score.SoftmaxPost,
        SelectBy = SelectBy.Logits,
        K = 2,
        Importance = ImportanceLoss.Gates,
        ImportanceCoefficient = 0.01,
        Load = LoadLoss.ExcludingItself,
        LoadCoefficient = 0.01,
        VarianceEpsilon = 1e-10,
    };

    static Dialect Hierarchical => NoisyTopK with
    {
        Name = "t2t.hierarchical",
        Summary = "two levels of noisy top-k, gates multiplied",
        Source = "tensor2tensor 3d9c62f2 expert_utils.py, DistributedMixtureOfExperts",
        Parameters = [.. Settable, "groups", "groups_kept"],
        Router = RouterForm.TwoLevel,
        Selection = Selection.TwoLevel,
        Groups = 2,
        GroupsKept = 2,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        NoisyTopK with
        {
            Name = "shazeer.noisy_topk",
            Summary = "the paper of 2017: noise in training only, importance and load at 0.1",
            Source = "Shazeer et al. 2017, eq. 3–10",
            Evidence = Evidence.Paper,
            NoiseEpsilon = 0,
            ImportanceCoefficient = 0.1,
            LoadCoefficient = 0.1,
        },
        Hierarchical with
        {
            Name = "shazeer.hierarchical",
            Summary = "the paper's two levels of noisy top-k",
            Source = "Shazeer et al. 2017, appendix B",
            Evidence = Evidence.Paper,
            NoiseEpsilon = 0,
            ImportanceCoefficient = 0.1,
            LoadCoefficient = 0.1,
        },
        new()
        {
            Name = "shazeer.batchwise",
            Summary = "each expert takes its m best of the batch; thresholds at inference",
            Source = "Shazeer et al. 2017, appendix F",
            Evidence = Evidence.Paper,
            Parameters = ["k", "balance_coefficient", "activation"],
            Selection = Selection.Batchwise,
            K = 2,
            CapacityFormula = CapacityFormula.EqualShare,
            SlotOrder = SlotOrder.Descending,
            Normalize = Normalize.Sum,
            NormalizeGuard = NormalizeGuard.OneUnlessPositive,
            Balance = BalanceLoss.BatchwiseThresholds,
            BalanceCoefficient = 0.01,
            LossPhase = Phase.Training,
        },
        NoisyTopK,
        Hierarchical,
        new()
        {
            Name = "t2t.local_moe_tpu",
            Summary = "second choice sees the use rate; ties to the highest index",
            Source = "tensor2tensor expert_utils.py, local_moe_tpu",
            Evidence = Evidence.Recorded,
            Parameters = ["capacity_factor", "balance_coefficient", "activation"],
            RouterBias = true,
            Selection = Selection.ExhaustionAware,
            K = 2,
            Ties = TieRule.Highest,
            CapacityFormula = CapacityFormula.PerChoice,
            CapacityFactor = 1,
            EvalCapacityFactor = 2,
            CapacityLimit = CapacityLimit.TokensThenMinimum,
            Gate = Gate.RankedScore,
            Normalize = Normalize.AfterDrop,
            NormalizeGuard = NormalizeGuard.Added,
            NormalizeEpsilon = 1e-9,
            Balance = BalanceLoss.VariationOfKeptMass,
            BalanceCoefficient = 1e-3,
            VarianceEpsilon = 1e-10,
            GroupSize = -1,
        },
    ];
}
