using SparseExperts.Routing;

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
        var own = Own(held, verdict, backend, out var pattern);
        Cause[] causes = [.. own, .. explanation.Changes.Select(c => new Cause(c.Axis, c.Is, $"as if {c}"))];
        var words = own.Count > 0 ? $"; {string.Join(", or ", own.Take(3).Select(c => c.Sentence))}" : "";
        var say = Diagnosis.Say(held, verdict, explanation) + words + (pattern is null ? "" : $"; {pattern}");
        return verdict with { Say = say, Causes = causes };
    }

    /// <summary>The step of the bias by a factor: turned round, or of another rate.</summary>
    static IReadOnlyList<Cause> StepOfBias(CaseTensor before, Departure of, Dialect d)
    {
        if (before.Values.Length != of.Claimed.Length) return [];
        double[] Steps(double[] after) => [.. after.Select((a, i) => a - before.Values[i])];
        var steps = new Departure(Steps(of.Claimed), Steps(of.Expected), of.Bounds);
        return Multiples.Find("the step of the bias", steps, d, 1) is { } multiple ? [multiple] : [];
    }

    static IReadOnlyList<Cause> Own(Case held, Verdict verdict, Func<IBackend> backend, out string? pattern)
    {
        pattern = null;
        if (verdict.Culprit is not { Numbers: { } numbers } culprit) return [];
        var experts = held.Find("experts.wi")?.Size(0) ?? 1;
        if (Multiples.Find(culprit.Stage, numbers, held.Dialect, experts) is { } multiple) return [multiple];
        if (culprit.Stage == "correction_bias" && held.Find("router.correction_bias") is { } before) return StepOfBias(before, numbers, held.Dialect);
        if (culprit.Stage.StartsWith("grad.", StringComparison.Ordinal)) return GradientCauses.Find(held, backend);
        if (culprit.Stage != "y") return [];
        pattern = OutputCauses.Pattern(held, numbers);
        return OutputCauses.Find(held, numbers, backend);
    }
}
