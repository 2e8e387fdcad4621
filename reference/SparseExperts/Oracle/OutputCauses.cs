namespace SparseExperts.Oracle;

/// <summary>From a y that departs to what the experts did instead, and to the tokens and experts that it is about.</summary>
static class OutputCauses
{
    /// <summary>Causes that reproduce the whole claimed y, within the file's effort.</summary>
    /// <param name="bare">The claims that y is made from, and y.</param>
    public static FoundCauses Find(Case bare, Departure departure, Func<IBackend> backend)
    {
        bare = Stage.WithExperts(bare, backend);
        if (OutputSums.Find(bare, departure, backend) is { } own) return new([own]);
        var found = FoundCauses.Among(bare, [.. OutputVariants.Of(bare), .. OfDepartingExperts(bare, departure)],
            fault => Stage.Agrees(fault, "y", departure, backend));
        if (found.Causes.Count == 0 && OutputSums.SharedTimes(bare, departure, backend) is { } scaled) return found.And(new([scaled]));
        if (found.Causes.Count == 0) found = found.And(UnlikeActivations.Find(bare, departure, backend));
        return found.Causes.Count > 0 ? found : found.And(QuantizedExperts.Find(bare, departure, backend));
    }

    /// <summary>Experts whose every token departs, all of them missing or doubled together.</summary>
    static IEnumerable<FaultyCall> OfDepartingExperts(Case c, Departure of)
    {
        if (Patterns.Departing(c, of) is not { Experts.Count: > 0 } departing || c.Find("experts.wo") is not { } wo) yield break;
        if (departing.Experts[^1] >= wo.Size(0)) yield break;
        if (departing.Experts.Count >= wo.Size(0)) yield break;
        foreach (var fault in OutputVariants.MatricesOf(c, departing.Experts)) yield return fault;
        if (departing.Experts.Count > 1)
            foreach (var e in departing.Experts)
                foreach (var fault in OutputVariants.MatricesOf(c, [e])) yield return fault;
        if (departing.Experts.Count == 1) yield break;
        var names = string.Join(", ", departing.Experts.SkipLast(1)) + $" and {departing.Experts[^1]}";
        if (departing.Experts.Count % 2 == 0)
        {
            var pairs = departing.Experts.Chunk(2).ToArray();
            int Partner(int e) => pairs.FirstOrDefault(p => p.Contains(e)) is { } pair ? pair[0] + pair[1] - e : e;
            var both = string.Join(", ", pairs.Select(p => $"{p[0]} with {p[1]}"));
            yield return OutputVariants.Placed(c, Partner, "exchanged", $"experts are exchanged: {both}");
        }
        FaultyCall All(double factor, string value, string sentence)
        {
            var weighted = OutputVariants.Weighted(c, e => departing.Experts.Contains(e) ? factor : 1);
            return new(new("experts", $"{names} {value}", $"experts {names} {sentence}"), c.With(weighted));
        }
        yield return All(0, "missing", "add nothing");
        yield return All(2, "twice", "are in y twice");
    }
}
