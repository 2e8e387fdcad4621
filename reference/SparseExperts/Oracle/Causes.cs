namespace SparseExperts.Oracle;

/// <summary>
/// What an implementation does instead, in the order in which it is looked for: one factor on everything, a fault of the output that is made again, then
/// the axes of the dialect. A cause is named only where it computes the numbers that are claimed.
/// </summary>
public static class Causes
{
    /// <summary>The verdict with its causes and its sentence.</summary>
    public static Verdict On(Case held, Verdict verdict, Func<IBackend> backend)
    {
        var explanation = Diagnosis.Explain(held, verdict, backend);
        var own = Own(held, verdict, backend);
        Cause[] causes = [.. own.Causes, .. explanation.Changes.Select(c => new Cause(c.Axis, c.Is, $"as if {c}"))];
        var words = own.Causes.Count > 0 ? $"; {string.Join(", or ", own.Causes.Take(3).Select(c => c.Sentence))}" : "";
        var pattern = verdict.Culprit is { Stage: "y", Numbers: { } numbers } ? OutputCauses.Pattern(held, numbers) : null;
        return verdict with
        {
            Say = Diagnosis.Say(held, verdict, explanation) + words + own.Untried + (pattern is null ? "" : $"; {pattern}"),
            Causes = causes,
            IsCertain = causes.Length == 1 && (own.Causes.Count == 1 ? IsAlone(verdict) : explanation.CuresAll),
        };
    }

    /// <summary>Whether nothing but the culprit differs, or, where gradients are looked at together, nothing but gradients.</summary>
    static bool IsAlone(Verdict verdict)
    {
        var culprit = verdict.Culprit!.Stage;
        bool IsGradient(string stage) => stage.StartsWith("grad.", StringComparison.Ordinal);
        return verdict.Stages.Where(s => s.Outcome == Outcome.Differs).All(s => s.Stage == culprit || IsGradient(culprit) && IsGradient(s.Stage));
    }

    static FoundCauses Own(Case held, Verdict verdict, Func<IBackend> backend)
    {
        if (verdict.Culprit is not { Numbers: { } numbers } culprit) return FoundCauses.None;
        var experts = held.Find("experts.wi")?.Size(0) ?? 1;
        if (Multiples.Find(culprit.Stage, numbers, held.Dialect, experts) is { } multiple) return new([multiple]);
        if (culprit.Stage == "correction_bias") return StepOfBias(held, numbers);
        if (culprit.Stage.StartsWith("grad.", StringComparison.Ordinal)) return GradientCauses.Find(held, backend);
        return culprit.Stage == "y" ? OutputCauses.Find(held, numbers, backend) : FoundCauses.None;
    }

    /// <summary>The step of the bias by a factor: turned round, or of another rate.</summary>
    static FoundCauses StepOfBias(Case held, Departure of)
    {
        if (held.Find("router.correction_bias") is not { } before || before.Values.Length != of.Claimed.Length) return FoundCauses.None;
        double[] Steps(double[] after) => [.. after.Select((a, i) => a - before.Values[i])];
        var steps = of with { Claimed = Steps(of.Claimed), Expected = Steps(of.Expected) };
        return Multiples.Find("the step of the bias", steps, held.Dialect, 1) is { } multiple ? new([multiple]) : FoundCauses.None;
    }
}
