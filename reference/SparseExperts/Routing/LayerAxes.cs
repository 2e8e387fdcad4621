using System.Text.Json;
using D = SparseExperts.Routing.Dialect;

namespace SparseExperts.Routing;

/// <summary>An axis that the layers of a kind read.</summary>
/// <param name="Only">The values that they know; empty where they know all. A single one is what they do whatever else a dialect would say.</param>
public sealed record AxisReading(DialectAxis Axis, IReadOnlyList<object?> Only)
{
    public bool Knows(Dialect dialect) => Only.Count == 0 || Only.Contains(Axis.Get(dialect));
}

/// <summary>
/// Which axes the layer of every kind reads, its model and its trainer included. An axis that is not here has its default in every dialect of the kind, or
/// the dialect is refused; one that is here changes what comes out.
/// </summary>
public static class LayerAxes
{
    public static IReadOnlyList<AxisReading> Of(LayerKind kind) => All[kind];

    /// <summary>How the layers of a kind read an axis; null where they do not.</summary>
    public static AxisReading? Find(LayerKind kind, DialectAxis axis) => ByAxis[kind].GetValueOrDefault(axis);

    // What the model and the trainer do around a layer.
    static readonly AxisReading[] Groups = [.. Any(nameof(D.GroupSize), nameof(D.GroupSplit), nameof(D.Replicas))];
    static readonly AxisReading Reduction = Only(nameof(D.LayerReduction), LayerReduction.Sum, LayerReduction.Mean);
    static readonly AxisReading[] Training =
    [
        Reduction,
        .. Any(nameof(D.TrainingExtra), nameof(D.ExtraCoefficient)),
    ];

    // RouterLogits.Input
    static readonly AxisReading[] RouterInput =
    [
        Only(nameof(D.RouterPolicy), RouterPolicy.Argmax, RouterPolicy.InputJitter, RouterPolicy.InputDropout),
        .. Any(nameof(D.RouterDtype), nameof(D.RouterPolicyPhase), nameof(D.JitterAlone), nameof(D.Jitter), nameof(D.JitterReach), nameof(D.InputDropout)),
    ];

    // FeedForward
    static readonly AxisReading[] FeedForward = [.. Any(
        nameof(D.Activation), nameof(D.GatedExperts), nameof(D.ActivationAlpha), nameof(D.ActivationBeta), nameof(D.ActivationLimit),
        nameof(D.ActivationGateSoftcap), nameof(D.ActivationUpSoftcap), nameof(D.ExpertsDtype), nameof(D.ActivationDtype))];

    // Experts.Apply on a plan
    static readonly AxisReading[] OnPlan =
        [.. FeedForward, .. Any(nameof(D.ApplyGateTo), nameof(D.StraightThrough), nameof(D.SumDtype), nameof(D.OutputScalingFactor))];

    // Experts.Apply, with its streams and the weights that a dialect has beside its experts
    static readonly AxisReading[] WithAllWeights =
    [
        .. OnPlan,
        Only(nameof(D.Combination), Combination.Gated, Combination.Interpolated),
        .. Any(nameof(D.TokenDropout), nameof(D.IdentityExperts), nameof(D.LatentExperts), nameof(D.ExpertsInNorm), nameof(D.ExpertsInNormEpsilon),
            nameof(D.ExpertsPostNorm), nameof(D.ExpertsPostNormEpsilon), nameof(D.OutputBias), nameof(D.SharedExpert),
            nameof(D.SharedActivationLimit), nameof(D.SharedGate), nameof(D.SharedCombination)),
    ];

    static readonly AxisReading[] TwoLevelRouter =
    [
        .. RouterInput, .. WithAllWeights, .. Training,
        Only(nameof(D.Router), RouterForm.TwoLevel),
        Only(nameof(D.Noise), LogitNoise.None, LogitNoise.NormalSoftplus),
        Only(nameof(D.Score), Score.SoftmaxPost),
        Only(nameof(D.SelectBy), SelectBy.Logits),
        Only(nameof(D.Importance), ImportanceLoss.Gates),
        Only(nameof(D.Load), LoadLoss.ExcludingItself),
        .. Any(nameof(D.K), nameof(D.Groups), nameof(D.GroupsKept), nameof(D.NoisePhase), nameof(D.NoiseEpsilon),
            nameof(D.ImportanceCoefficient), nameof(D.LoadCoefficient), nameof(D.Variance), nameof(D.VarianceEpsilon)),
    ];

    static readonly AxisReading[] BinaryCode =
    [
        .. RouterInput, .. WithAllWeights, .. Training,
        Only(nameof(D.Router), RouterForm.Constant, RouterForm.Linear),
        Only(nameof(D.Score), Score.None),
        .. Any(nameof(D.K), nameof(D.EntropyCoefficient)),
    ];

    static readonly AxisReading[] Soft =
    [
        .. FeedForward, .. Groups,
        Only(nameof(D.Router), RouterForm.SlotSimilarity),
        Only(nameof(D.CapacityFormula), CapacityFormula.Given, CapacityFormula.PerToken),
        Only(nameof(D.CapacityLimit), CapacityLimit.None, CapacityLimit.TokensThenMinimum),
        .. Any(nameof(D.CapacityFactor), nameof(D.Capacity), nameof(D.CapacityRounding), nameof(D.MinCapacity), nameof(D.CapacityMultiple)),
    ];

    // The stages of a routed layer at both levels, with one matrix a level and no draws but the policy's.
    static readonly AxisReading[] TwoLevelCapacity =
    [
        .. OnPlan, .. Groups, Reduction,
        Only(nameof(D.Router), RouterForm.Linear),
        Only(nameof(D.K), 2),
        Only(nameof(D.GroupsKept), 2),
        Only(nameof(D.Policy), Policy.All, Policy.None, Policy.Threshold, Policy.Random),
        Only(nameof(D.Ties), TieRule.Lowest, TieRule.Highest),
        Only(nameof(D.Taken), Taken.Zeroed),
        Only(nameof(D.Padding), PaddingRule.Routed, PaddingRule.Skipped, PaddingRule.ScoresZeroed),
        Only(nameof(D.PaddingLogits), PaddingLogits.Kept, PaddingLogits.Lowered),
        Only(nameof(D.RandomTest), RandomTest.OverThreshold, RandomTest.Twice, RandomTest.TwiceRaw),
        Only(nameof(D.CapacityLimit), CapacityLimit.None, CapacityLimit.TokensThenMinimum),
        Only(nameof(D.EvalPolicy), null, Policy.All, Policy.None, Policy.Threshold, Policy.Random),
        Only(nameof(D.CapacityFormula), CapacityFormula.Given, CapacityFormula.PerToken, CapacityFormula.PerChoice, CapacityFormula.FactorTimesWholeShare),
        Only(nameof(D.DropPolicy), DropPolicy.Position, DropPolicy.Score, DropPolicy.Logit),
        Only(nameof(D.DroppedOutput), DroppedOutput.Zero, DroppedOutput.GateTimesInput),
        Only(nameof(D.SlotOrder), SlotOrder.Arrival, SlotOrder.Descending),
        Only(nameof(D.NormalizeGuard), NormalizeGuard.None, NormalizeGuard.Added, NormalizeGuard.AtLeast),
        Only(nameof(D.Gate), Gate.Score, Gate.One, Gate.SigmoidOrSoftmax, Gate.ScorePerExpertCount, Gate.SigmoidMix),
        Only(nameof(D.Combination), Combination.Gated, Combination.Interpolated),
        Only(nameof(D.Balance), BalanceLoss.None, BalanceLoss.Product, BalanceLoss.VariationOfKeptMass, BalanceLoss.TokenSquares, BalanceLoss.MeanSquares),
        Only(nameof(D.BalanceLevel), BalanceLevel.Group, BalanceLevel.Batch),
        Only(nameof(D.Load), LoadLoss.None, LoadLoss.ExcludingItself),
        .. Any(nameof(D.RouterWeightDtype), nameof(D.RouterDtype), nameof(D.LogitsDtype), nameof(D.ScoreDtype), nameof(D.GateDtype), nameof(D.LogitsScale),
            nameof(D.LogitsSoftcap), nameof(D.Score), nameof(D.SelectBy), nameof(D.Groups), nameof(D.Threshold), nameof(D.IgnorePadding)),
        .. Any(nameof(D.CapacityFactor), nameof(D.EvalCapacityFactor), nameof(D.Capacity), nameof(D.CapacityFraction), nameof(D.CapacityRounding),
            nameof(D.MinCapacity), nameof(D.CapacityMultiple), nameof(D.Order), nameof(D.BatchPrioritized)),
        .. Any(nameof(D.Normalize), nameof(D.NormalizeEpsilon), nameof(D.ScalingFactor)),
        .. Any(nameof(D.BalanceCount), nameof(D.BalanceMass), nameof(D.BalanceTokens), nameof(D.BalanceScale), nameof(D.LossPhase),
            nameof(D.BalanceCoefficient), nameof(D.EvalBalanceCoefficient), nameof(D.GlobalBalanceCoefficient), nameof(D.Microbatches),
            nameof(D.LossDenominator), nameof(D.ZLoss), nameof(D.ZPhase), nameof(D.ZCoefficient), nameof(D.Importance), nameof(D.ImportanceCoefficient),
            nameof(D.LoadCoefficient), nameof(D.SparsityCoefficient), nameof(D.Variance), nameof(D.VarianceEpsilon)),
    ];

    // Every axis; the routers that a kind above has to itself excepted.
    static readonly AxisReading[] Routed =
    [
        Only(nameof(D.Router), [.. Enum.GetValues<RouterForm>().Except([RouterForm.SlotSimilarity, RouterForm.TwoLevel, RouterForm.Constant])
            .Cast<object>()]),
        .. DialectAxis.All.Where(a => a.Name != "router").Select(a => new AxisReading(a, [])),
    ];

    static readonly Dictionary<LayerKind, IReadOnlyList<AxisReading>> All = new()
    {
        [LayerKind.Routed] = Routed,
        [LayerKind.TwoLevelRouter] = [.. Any(nameof(D.Selection)), .. TwoLevelRouter],
        [LayerKind.BinaryCode] = [.. Any(nameof(D.Selection)), .. BinaryCode],
        [LayerKind.Soft] = [.. Any(nameof(D.Selection)), .. Soft],
        [LayerKind.TwoLevelCapacity] = [.. Any(nameof(D.Selection)), .. TwoLevelCapacity],
    };

    static readonly Dictionary<LayerKind, Dictionary<DialectAxis, AxisReading>> ByAxis =
        All.ToDictionary(kind => kind.Key, kind => kind.Value.ToDictionary(reading => reading.Axis));

    static IEnumerable<AxisReading> Any(params string[] properties) => properties.Select(p => Only(p));

    static AxisReading Only(string property, params object?[] values) => new(DialectAxis.Find(JsonNamingPolicy.SnakeCaseLower.ConvertName(property))!, values);
}
