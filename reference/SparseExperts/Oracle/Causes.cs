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

    static IReadOnlyList<Cause> Own(Case held, Verdict verdict, Func<IBackend> backend, out string? pattern)
    {
        pattern = null;
        if (verdict.Culprit is not { Numbers: { } numbers } culprit) return [];
        var experts = held.Find("experts.wi")?.Size(0) ?? 1;
        if (Multiples.Find(culprit.Stage, numbers, held.Dialect, experts) is { } multiple) return [multiple];
        if (culprit.Stage != "y") return [];
        pattern = OutputCauses.Pattern(held, numbers);
        return OutputCauses.Find(held, numbers, backend);
    }
}
