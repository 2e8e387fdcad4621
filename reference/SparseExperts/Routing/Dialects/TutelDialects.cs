namespace SparseExperts.Routing;

/// <summary>Tutel.</summary>
static class TutelDialects
{
    static Dialect TopK => new()
    {
        Name = "tutel.topk",
        Summary = "k choices, divided before dropping and never again; noise std/E",
        Source = "tutel fast_dispatch.py, extract_critical",
        Evidence = Evidence.Recorded,
        Parameters =
        [
            "k", "capacity_factor", "capacity", "alignment", "normalize", "batch_prioritized", "noise_std", "loss", "balance_coefficient", "activation",
        ],
        Noise = LogitNoise.NormalPerExperts,
        NoiseStd = 0,
        K = 2,
        Ties = TieRule.Unspecified,
        CapacityFormula = CapacityFormula.ChoicesTimesWholeShare,
        OpenBatchTies = true,
        LoadAtLastToken = true,
        Normalize = Normalize.BeforeDrop,
        NormalizeSingle = false,
        NormalizeGuard = NormalizeGuard.AtLeast,
        NormalizeEpsilon = 1.1920928955078125e-07,
        Balance = BalanceLoss.Product,
        BalanceCoefficient = 0.01,
        Loss = LossChoice.Gshard,
        Variance = Variance.Unbiased,
        VarianceEpsilon = 1e-10,
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        TopK,
        TopK with
        {
            Name = "tutel.cosine",
            Summary = "cosine router with a learned temperature of at most 100",
            Source = "tutel gates/cosine_top.py",
            Evidence = Evidence.Read,
            Router = RouterForm.Cosine,
        },
    ];
}
