using System.Text.Json;
using System.Text.Json.Nodes;
using D = SparseExperts.Routing.Dialect;

namespace SparseExperts.Routing;

/// <summary>
/// Axes that a routed layer reads only where another axis has switched something on: what a person has set beside it changes nothing, which they should know.
/// Nothing is refused: a library's own configuration says such things too.
/// </summary>
public static class UnreadAxes
{
    /// <summary>Axes that are read where a condition holds, and the axis that decides it.</summary>
    public sealed record Rule(IReadOnlyList<DialectAxis> Axes, DialectAxis By, Func<Dialect, bool> IsRead);

    public static IReadOnlyList<Rule> Rules { get; } =
    [
        When(nameof(D.CapacityFormula), d => d.CapacityFormula != CapacityFormula.None || d.Selection is not Selection.TopK,
            nameof(D.CapacityFactor), nameof(D.EvalCapacityFactor), nameof(D.Capacity), nameof(D.CapacityFraction), nameof(D.CapacityRounding),
            nameof(D.MinCapacity), nameof(D.CapacityLimit), nameof(D.CapacityMultiple)),
        When(nameof(D.Capacity), d => d.Capacity is null || d.CapacityFormula == CapacityFormula.None || d.Selection is not Selection.TopK,
            nameof(D.CapacityRounding), nameof(D.MinCapacity), nameof(D.CapacityMultiple)),
        When(nameof(D.Balance), d => d.Balance != BalanceLoss.None || d.Loss == LossChoice.LoadImportance,
            nameof(D.BalanceCoefficient), nameof(D.EvalBalanceCoefficient)),
        When(nameof(D.Balance), d => d.Balance != BalanceLoss.None,
            nameof(D.BalanceCount), nameof(D.BalanceMass), nameof(D.BalanceScale), nameof(D.GshardCoefficient)),
        When(nameof(D.GshardLoss), d => d.GshardLoss, nameof(D.GshardCoefficient)),
        When(nameof(D.ZLoss), d => d.ZLoss != ZLoss.None, nameof(D.ZCoefficient), nameof(D.ZPhase)),
        When(nameof(D.Importance), d => d.Importance != ImportanceLoss.None, nameof(D.ImportanceCoefficient)),
        When(nameof(D.Load), d => d.Load != LoadLoss.None, nameof(D.LoadCoefficient)),
        When(nameof(D.EntropyLosses), d => d.EntropyLosses, nameof(D.EntropyCoefficient)),
        When(nameof(D.TrainingExtra), d => d.TrainingExtra != TrainingExtra.None, nameof(D.ExtraCoefficient)),
        When(nameof(D.CorrectionBias), d => d.CorrectionBias, nameof(D.BiasRate), nameof(D.BiasCentred), nameof(D.BiasTokens)),
        When(nameof(D.Groups), d => d.Groups > 1, nameof(D.GroupScore), nameof(D.GroupMask)),
        When(nameof(D.Noise), d => d.Noise != LogitNoise.None,
            nameof(D.NoisePhase), nameof(D.NoiseStd), nameof(D.NoiseEpsilon), nameof(D.NoiseMultiplier)),
        When(nameof(D.RouterPolicy), d => d.RouterPolicy == RouterPolicy.InputJitter, nameof(D.Jitter), nameof(D.JitterReach)),
        When(nameof(D.RouterPolicy), d => d.RouterPolicy == RouterPolicy.InputDropout, nameof(D.InputDropout)),
        When(nameof(D.SecondPlaceProbability), d => d.SecondPlaceProbability > 0, nameof(D.SecondPlaceTemperature)),
        When(nameof(D.Policy), d => d.Policy == Policy.Entropy || d.EvalPolicy == Policy.Entropy, nameof(D.UpperThreshold), nameof(D.KLeast)),
        When(nameof(D.RouterNorm), d => d.RouterNorm, nameof(D.RouterNormEpsilon), nameof(D.RouterInputScale)),
        When(nameof(D.Router), d => d.Router == RouterForm.ProductKeys, nameof(D.ProductKeys), nameof(D.KeySplit)),
        When(nameof(D.Normalize), d => d.Normalize != Normalize.None || d.EvalNormalize is not (null or Normalize.None),
            nameof(D.NormalizeSingle), nameof(D.NormalizeEpsilon)),
        When(nameof(D.NormalizeGuard), d => d.NormalizeGuard != NormalizeGuard.None || d.LateNormalizeGuard is not (null or NormalizeGuard.None),
            nameof(D.NormalizeEpsilon)),
        When(nameof(D.Activation), d => d.Activation == ExpertActivation.SwigluClamped, nameof(D.ActivationAlpha), nameof(D.ActivationBeta)),
        When(nameof(D.Activation), d => d.Activation.IsLimited(), nameof(D.ActivationLimit), nameof(D.SharedActivationLimit)),
        When(nameof(D.Activation), d => d.Activation == ExpertActivation.SwigluSoftcapped, nameof(D.ActivationGateSoftcap), nameof(D.ActivationUpSoftcap)),
        When(nameof(D.ExpertsInNorm), d => d.ExpertsInNorm, nameof(D.ExpertsInNormEpsilon)),
        When(nameof(D.ExpertsPostNorm), d => d.ExpertsPostNorm, nameof(D.ExpertsPostNormEpsilon)),
        When(nameof(D.SharedExpert), d => d.SharedExpert, nameof(D.SharedGate), nameof(D.SharedCombination), nameof(D.SharedActivationLimit)),
        When(nameof(D.GroupSize), d => d.GroupSize > 0, nameof(D.GroupSplit)),
    ];

    static Rule When(string by, Func<Dialect, bool> isRead, params string[] axes) => new([.. axes.Select(Axis)], Axis(by), isRead);

    static DialectAxis Axis(string property) => DialectAxis.Find(JsonNamingPolicy.SnakeCaseLower.ConvertName(property))!;

    /// <summary>
    /// What a reader of a dialect of their own should know: axes that they set and nothing reads, and the name of a built-in dialect on another rule. Each in
    /// one line; a built-in dialect's own values are no reader's.
    /// </summary>
    /// <param name="text">The dialect as JSON.</param>
    public static IReadOnlyList<string> Remarks(string text, Dialect dialect)
    {
        if (JsonNode.Parse(text, documentOptions: DialectFile.Reading) is not JsonObject json) return [];
        var named = BuiltIn.Find(dialect.Name);
        var like = json["like"] is JsonValue start ? BuiltIn.Find(start.GetValue<string>()) : null;
        return [.. Unread(json, dialect, like ?? named), .. Misnamed(dialect, named)];
    }

    static IEnumerable<string> Unread(JsonObject json, Dialect d, Dialect? from)
    {
        if (d.LayerKind() != LayerKind.Routed) yield break;
        var said = new HashSet<DialectAxis>();
        foreach (var rule in Rules.Where(r => !r.IsRead(d)))
            foreach (var axis in rule.Axes)
            {
                if (!json.ContainsKey(axis.Name) || axis.IsDefault(d) || from is not null && Equals(axis.Get(from), axis.Get(d)) || !said.Add(axis)) continue;
                var by = $"{rule.By.Name} {rule.By.Format(d) ?? "null"}";
                yield return $"{axis.Name} {axis.Format(d)} changes nothing with {by}; leave it out, or choose another {rule.By.Name}";
            }
    }

    /// <summary>Parameters are what a library lets its users set: with other ones it is the same dialect.</summary>
    static IEnumerable<string> Misnamed(Dialect d, Dialect? named)
    {
        if (named is null) yield break;
        var parameters = named.Parameters.Select(DialectFile.AxisOf).ToHashSet();
        if (DialectAxis.All.FirstOrDefault(a => !parameters.Contains(a) && !Equals(a.Get(named), a.Get(d))) is not { } axis) yield break;
        var its = $"{axis.Name} {axis.Format(named) ?? "null"}, not {axis.Format(d) ?? "null"}";
        yield return $"{d.Name} is the name of a built-in dialect, which has {its}; give yours a name of its own";
    }
}
