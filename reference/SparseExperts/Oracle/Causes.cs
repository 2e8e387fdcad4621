namespace SparseExperts.Oracle;

/// <summary>
/// What an implementation does instead, in the order in which it is looked for: one factor on everything, rows of another token, a fault of the stage that is
/// made again, and the axes of the dialect. A cause is named only where it computes the numbers that are claimed.
/// </summary>
public static class Causes
{
    /// <summary>The verdict with its causes, its sentence and its notes.</summary>
    public static Verdict On(Case held, Verdict verdict, Func<IBackend> backend)
    {
        var explanation = Diagnosis.Explain(held, verdict, backend);
        var (factor, own) = Own(held, verdict, backend);
        var isUnnamed = factor is null && own.Causes.Count == 0 && explanation.Changes.Count == 0;
        if (isUnnamed) own = own.And(OfParts(held, verdict)).And(OfPairs(held, verdict, backend));
        // A fault that a value of an axis stands for is named by it, with the fault's own words.
        Cause? Twin(AxisChange change) => own.Causes.Append(factor).FirstOrDefault(c => c?.Axis == change.Axis);
        Cause Of(AxisChange change) => new(change.Axis, change.Is, $"as if {change}{(Twin(change) is { } twin ? $": {twin.Sentence}" : "")}");
        bool IsOfFamily(AxisChange change) => Neighbours.IsOfFamily(held.Dialect, change) || Twin(change) is not null;
        bool HasNoTwin(Cause c) => explanation.Changes.All(change => change.Axis != c.Axis);
        Cause[] faults = [.. own.Causes.Where(HasNoTwin)];
        // One number has many factors: what has a reason comes first there.
        var isOne = verdict.Culprit?.First?.Of == 1;
        Cause[] factors = factor is not null && HasNoTwin(factor) ? [factor] : [];
        Cause[] causes =
        [
            .. isOne ? [] : factors,
            .. explanation.Changes.Where(IsOfFamily).Select(Of),
            .. faults,
            .. isOne ? factors : [],
            .. explanation.Changes.Where(c => !IsOfFamily(c)).Select(Of),
        ];
        Cause[] stages = isOne ? [.. faults, .. factors] : [.. factors, .. faults];
        IEnumerable<string> sentences = [.. explanation.Changes.Select(Twin).OfType<Cause>().Concat(stages).Select(c => c.Sentence).Distinct()];
        var words = sentences.Any() ? $"; {string.Join(", or ", sentences.Take(3))}" : "";
        var pattern = verdict.Culprit is { Numbers: { } numbers } culprit
            ? Patterns.Of(culprit.Stage == "y" ? Stage.WithExperts(held, backend) : held, culprit.Stage, numbers)
            : null;
        var named = verdict with
        {
            Say = Diagnosis.Say(held, verdict, explanation) + words + own.Untried + (pattern is null ? "" : $"; {pattern}"),
            Causes = causes,
            IsCertain = causes is [{ IsPattern: false }] && (stages.Length == 1 ? IsAlone(verdict) : explanation.CuresAll),
        };
        return named with { Notes = Notes.On(held, named, backend) };
    }

    /// <summary>What the numbers of each expert, token or column have in common, where no fault was found.</summary>
    static FoundCauses OfParts(Case held, Verdict verdict)
    {
        if (verdict.Culprit is not { Numbers: { } numbers } culprit) return FoundCauses.None;
        return PartFactors.Find(held, culprit.Stage, numbers) is { } pattern ? new([pattern]) : FoundCauses.None;
    }

    /// <summary>Two axes of a loss at once.</summary>
    static FoundCauses OfPairs(Case held, Verdict verdict, Func<IBackend> backend) => verdict.Culprit is not { Numbers: { } numbers } culprit
        ? FoundCauses.None
        : BalancePairs.Find(Stage.Until(held, verdict), culprit.Stage, numbers, backend);

    /// <summary>Whether nothing but the culprit differs, or, where gradients are looked at together, nothing but gradients.</summary>
    static bool IsAlone(Verdict verdict)
    {
        var culprit = verdict.Culprit!.Stage;
        bool IsGradient(string stage) => stage.StartsWith("grad.", StringComparison.Ordinal);
        return verdict.Stages.Where(s => s.Outcome == Outcome.Differs).All(s => s.Stage == culprit || IsGradient(culprit) && IsGradient(s.Stage));
    }

    /// <summary>
    /// A factor on everything, or one value everywhere, and other faults of the stage; those are not looked for where many numbers have the factor.
    /// </summary>
    static (Cause? Factor, FoundCauses Others) Own(Case held, Verdict verdict, Func<IBackend> backend)
    {
        if (verdict.Culprit is not { Numbers: { } numbers } culprit) return (null, FoundCauses.None);
        var (bare, stage) = (Stage.Until(held, verdict), culprit.Stage);
        if (PrintedDigits.Find(stage, numbers) is { } printed) return (null, new([printed]));
        if ((IsOfTokens(stage) || stage == "expert") && (held.Find("x") ?? held.Find("claim.logits")) is { } rows
            && OtherTokens.Find(stage, numbers, rows.Size(0), rows.Size(1)) is { } others) return (null, new([others]));
        var experts = held.Find("experts.wi")?.Size(0) ?? held.Find("claim.logits")?.Size(-1) ?? 1;
        var factor = stage == "expert" ? ExpertCauses.Constant(numbers)
            : IsWhole(stage) || stage == "correction_bias" ? null
            : Multiples.Find(stage, numbers, held.Dialect, experts);
        if (factor is not null && factor.Value != "times 0" && !stage.StartsWith("loss.", StringComparison.Ordinal)) return (factor, FoundCauses.None);
        var found = OfStage(bare, verdict, stage, numbers, backend);
        if (found.Causes.Count == 0 && factor is null && RoundedNumbers.Find(stage, numbers) is { } rounded) return (null, new([rounded]));
        if (found.Causes.Count == 0 && factor is null) found = found.And(Upstream(bare, stage, numbers, backend));
        if (found.Causes.Count == 0 && factor is null) found = found.And(CallCauses.Find(bare, stage, numbers, backend));
        return (factor, found);
    }

    static bool IsOfTokens(string stage) => stage is "logits" or "scores" or "gate" or "combine" or "y" or "grad.x" or "shared_logits" or "shared_gate"
        or "router_state" or "key_logits";

    static bool IsWhole(string stage) => stage is "capacity" or "expert" or "slot" or "token" or "count";

    static FoundCauses OfStage(Case bare, Verdict verdict, string stage, Departure numbers, Func<IBackend> backend) => stage switch
    {
        "router_state" => LogitsCauses.OfState(bare, numbers, backend),
        "logits" => LogitsCauses.Find(bare, numbers, backend),
        "scores" => ScoreCauses.Find(bare, numbers, backend),
        "capacity" => CountCauses.OfCapacity(bare, numbers, backend),
        "expert" => ExpertCauses.Find(bare, numbers, backend),
        "slot" or "token" => SlotCauses.Find(bare, stage, numbers, backend),
        "gate" or "combine" or "shared_gate" => GateCauses.Find(bare, stage, numbers, backend),
        "count" => CountCauses.OfTokens(bare, numbers, backend),
        "y" => OutputCauses.Find(bare, numbers, backend),
        "correction_bias" => BiasCauses.Find(bare, numbers, backend),
        _ when stage.StartsWith("loss.", StringComparison.Ordinal) => LossCauses.Find(bare, stage, numbers, backend),
        _ when stage.StartsWith("grad.", StringComparison.Ordinal) => GradientCauses.Find(bare, verdict, backend),
        _ => FoundCauses.None,      // stages of few dialects, for which the axes are tried
    };

    /// <summary>Faults of stages that are not claimed themselves.</summary>
    static FoundCauses Upstream(Case bare, string stage, Departure numbers, Func<IBackend> backend)
    {
        if (stage is "logits") return FoundCauses.None;
        var hasRouter = !bare.Has("claim.logits") && bare.Has("router.weight");
        FaultyCall[] ofRouter = hasRouter ? [.. OtherTokens.BeforeTheRouter(bare), .. LogitsCauses.Router(bare)] : [];
        var scores = ScoreCauses.Before(bare, backend);
        var found = FoundCauses.Among(bare, ofRouter, faulty => Stage.Cures(faulty, stage, numbers, backend))
            .And(FoundCauses.Among(bare, [.. scores], faulty => Stage.Cures(faulty, stage, numbers, backend, "scores")));
        // Gates and slots that are put there by a fault are none of the dialect's: the output alone is looked at.
        if (stage != "y") return found;
        return found.And(FoundCauses.Among(bare, [.. GateCauses.Before(bare, backend)], faulty => Stage.Agrees(faulty, stage, numbers, backend)));
    }
}
