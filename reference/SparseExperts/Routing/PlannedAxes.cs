using System.Text.Json;
using D = SparseExperts.Routing.Dialect;

namespace SparseExperts.Routing;

/// <summary>
/// What a backend's plan has to do with every axis. One that stands in neither list is planned by the host wherever it is set, until somebody has looked
/// whether <see cref="BackendPlanning"/> heeds it.
/// </summary>
public static class PlannedAxes
{
    /// <summary>Choices, slots and gates depend on them: a backend's rule has them, or they are a reason to plan on the host.</summary>
    public static IReadOnlyList<DialectAxis> Deciding { get; } = [.. Of(
        nameof(D.RouterPolicy), nameof(D.RouterPolicyPhase), nameof(D.JitterAlone), nameof(D.Temperature), nameof(D.SecondPlaceProbability),
        nameof(D.ScoreDtype), nameof(D.GateDtype), nameof(D.Score), nameof(D.Selection), nameof(D.K), nameof(D.SelectBy), nameof(D.CorrectionBias),
        nameof(D.Groups), nameof(D.GroupsKept), nameof(D.GroupScore), nameof(D.GroupMask), nameof(D.Ties), nameof(D.OpenOrder), nameof(D.ForceBalance),
        nameof(D.Taken), nameof(D.LaterBy), nameof(D.Policy), nameof(D.EvalPolicy), nameof(D.Threshold), nameof(D.RandomTest), nameof(D.Padding),
        nameof(D.CapacityFormula), nameof(D.CapacityFactor), nameof(D.EvalCapacityFactor), nameof(D.Capacity), nameof(D.CapacityFraction),
        nameof(D.CapacityRounding), nameof(D.MinCapacity), nameof(D.CapacityLimit), nameof(D.CapacityMultiple), nameof(D.PadToCapacity),
        nameof(D.DropPolicy), nameof(D.Order), nameof(D.BatchPrioritized), nameof(D.OpenBatchTies), nameof(D.LoadAtLastToken), nameof(D.OpenDropTies),
        nameof(D.SlotOrder), nameof(D.DroppedOutput), nameof(D.Gate), nameof(D.Normalize), nameof(D.EvalNormalize), nameof(D.NormalizeSingle),
        nameof(D.NormalizeGuard), nameof(D.LateNormalizeGuard), nameof(D.NormalizeEpsilon), nameof(D.ScalingFactor), nameof(D.ExpertScale),
        nameof(D.GlobalScale), nameof(D.SharedInGates), nameof(D.StraightThrough), nameof(D.IdentityExperts), nameof(D.NullExperts),
        nameof(D.Combination), nameof(D.TokenDropout), nameof(D.BalanceCount), nameof(D.SecondPlaceLoss), nameof(D.SharedChoices), nameof(D.BiasOfImages),
        nameof(D.KLeast), nameof(D.UpperThreshold))];

    /// <summary>Scores are made with them before there is a plan, or experts, losses and groups, which read any plan alike.</summary>
    static readonly DialectAxis[] Around = [.. Of(
        nameof(D.Router), nameof(D.RouterBias), nameof(D.RouterWeightDtype), nameof(D.RouterDtype), nameof(D.LogitsDtype), nameof(D.RouterNorm),
        nameof(D.RouterNormEpsilon), nameof(D.RouterInputScale), nameof(D.ProductKeys), nameof(D.KeySplit), nameof(D.LogitsScale), nameof(D.LogitsSoftcap),
        nameof(D.Jitter), nameof(D.JitterReach), nameof(D.InputDropout), nameof(D.SecondPlaceTemperature), nameof(D.Noise), nameof(D.NoisePhase),
        nameof(D.NoiseStd), nameof(D.NoiseEpsilon), nameof(D.NoiseMultiplier), nameof(D.BiasRate), nameof(D.BiasCentred), nameof(D.BiasTokens),
        nameof(D.PaddingLogits), nameof(D.IgnorePadding), nameof(D.ApplyGateTo), nameof(D.Activation), nameof(D.GatedExperts), nameof(D.ActivationAlpha),
        nameof(D.ActivationBeta),
        nameof(D.ActivationLimit), nameof(D.ActivationGateSoftcap), nameof(D.ActivationUpSoftcap), nameof(D.SharedActivationLimit), nameof(D.ExpertsDtype),
        nameof(D.ActivationDtype), nameof(D.SumDtype), nameof(D.LatentExperts), nameof(D.ExpertsInNorm), nameof(D.ExpertsInNormEpsilon),
        nameof(D.ExpertsPostNorm), nameof(D.ExpertsPostNormEpsilon), nameof(D.OutputBias), nameof(D.OutputScalingFactor), nameof(D.SharedExpert),
        nameof(D.SharedGate), nameof(D.SharedCombination), nameof(D.Balance), nameof(D.BalanceMass), nameof(D.BalanceTokens), nameof(D.BalanceScale),
        nameof(D.BalanceLevel), nameof(D.PreviousBatches), nameof(D.LossPhase), nameof(D.BalanceCoefficient), nameof(D.EvalBalanceCoefficient),
        nameof(D.SequenceBalanceCoefficient), nameof(D.GlobalBalanceCoefficient), nameof(D.Microbatches), nameof(D.LossDenominator), nameof(D.Loss),
        nameof(D.ZLoss), nameof(D.ZPhase), nameof(D.ZCoefficient), nameof(D.Importance), nameof(D.ImportanceCoefficient), nameof(D.Load),
        nameof(D.LoadCoefficient), nameof(D.GshardCoefficient), nameof(D.GshardLoss), nameof(D.EntropyCoefficient), nameof(D.EntropyLosses),
        nameof(D.SparsityCoefficient), nameof(D.AlignmentCoefficient), nameof(D.AdaptiveSparsity), nameof(D.Variance), nameof(D.VarianceEpsilon),
        nameof(D.LayerReduction), nameof(D.TrainingExtra), nameof(D.ExtraCoefficient), nameof(D.GroupSize), nameof(D.GroupSplit), nameof(D.Replicas))];

    static readonly DialectAxis[] Unsaid = [.. DialectAxis.All.Except(Deciding).Except(Around)];

    /// <summary>An axis of which nobody has said what a plan has to do with it and which this dialect sets, with its value; null where there is none.</summary>
    public static string? Unknown(Dialect dialect) => Unknown(dialect, Unsaid);

    public static string? Unknown(Dialect dialect, IReadOnlyList<DialectAxis> unsaid)
    {
        foreach (var axis in unsaid)
            if (!axis.IsDefault(dialect)) return $"{axis.Name} {axis.Format(dialect)}";
        return null;
    }

    static IEnumerable<DialectAxis> Of(params string[] properties) =>
        properties.Select(p => DialectAxis.Find(JsonNamingPolicy.SnakeCaseLower.ConvertName(p))!);
}
