namespace SparseExperts.Routing;

/// <summary>V-MoE, Soft MoE and LIMoE.</summary>
static class VmoeDialects
{
    static readonly string[] Settable = ["capacity", "capacity_factor", "capacity_multiple", "capacity_rounding", "noise_std", "activation"];

    static Dialect TopExperts => new()
    {
        Name = "vmoe.top_experts_per_item",
        Summary = "noise 1/E on logits, raw noisy gates, importance and load",
        Source = "vmoe nn/routing.py, NoisyTopExpertsPerItemRouter",
        Evidence = Evidence.Recorded,
        Parameters = [.. Settable, "k", "batch_prioritized", "importance_coefficient", "load_coefficient", "gshard_coefficient"],
        Noise = LogitNoise.NormalPerExperts,
        K = 2,
        CapacityFormula = CapacityFormula.PerChoice,
        CapacityRounding = CapacityRounding.Ceiling,
        CapacityFactor = 1.05,
        EvalCapacityFactor = 4,
        CapacityMultiple = 4,
        Balance = BalanceLoss.Product,
        GshardLoss = true,
        Importance = ImportanceLoss.CleanScores,
        ImportanceCoefficient = 1,
        Load = LoadLoss.OneThreshold,
        LoadCoefficient = 1,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        TopExperts,
        TopExperts with
        {
            Name = "vmoe.top_items_per_expert",
            Summary = "experts choose among noisy probabilities",
            Source = "vmoe nn/routing.py, NoisyTopItemsPerExpertRouter",
            Parameters = Settable,
            Selection = Selection.ExpertChoice,
            K = 1,
            CapacityFormula = CapacityFormula.PerToken,
            CapacityFactor = 1,
            EvalCapacityFactor = null,
            SlotOrder = SlotOrder.Descending,
            Balance = BalanceLoss.None,
            GshardLoss = false,
            Importance = ImportanceLoss.None,
            Load = LoadLoss.None,
        },
        new()
        {
            Name = "vmoe.soft",
            Summary = "Soft MoE: slots are mixtures of tokens, tokens are mixtures of slots",
            Source = "vmoe projects/soft_moe/router.py",
            Evidence = Evidence.Recorded,
            Parameters = ["capacity", "capacity_factor", "capacity_rounding", "activation"],
            Router = RouterForm.SlotSimilarity,
            Selection = Selection.SlotMixture,
            CapacityFormula = CapacityFormula.PerToken,
            CapacityRounding = CapacityRounding.Round,
            MinCapacity = 1,
            GroupSize = -1,
        },
        TopExperts with
        {
            Name = "limoe.top1",
            Summary = "top-1 with entropy losses per modality beside importance and load",
            Source = "LIMoE, Mustafa et al. 2022, section 2.2",
            Evidence = Evidence.Paper,
            Parameters = [.. Settable, "batch_prioritized", "importance_coefficient", "load_coefficient", "entropy_coefficient"],
            K = 1,
            BatchPrioritized = true,
            Balance = BalanceLoss.None,
            GshardLoss = false,
            ImportanceCoefficient = 0.005,
            LoadCoefficient = 0.005,
            EntropyLosses = true,
            EntropyCoefficient = 0.04,
        },
    ];
}
