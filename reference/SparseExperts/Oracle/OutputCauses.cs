namespace SparseExperts.Oracle;

/// <summary>From a y that departs to what the experts did instead, and to the tokens and experts that it is about.</summary>
static class OutputCauses
{
    /// <summary>Causes that reproduce the whole claimed y, within the file's effort.</summary>
    public static FoundCauses Find(Case held, Departure departure, Func<IBackend> backend)
    {
        var bare = Bare(held);
        if ((Shifted(held, departure) ?? OutputSums.Find(bare, departure, backend)) is { } own) return new([own]);
        return FoundCauses.Among(bare, [.. OutputVariants.Of(bare), .. OfDepartingExperts(bare, departure)], fault => Reproduces(fault, backend));
    }

    /// <summary>The claims that y is made from, and y.</summary>
    static Case Bare(Case c)
    {
        string[] kept = ["claim.logits", "claim.scores", "claim.capacity", "claim.expert", "claim.slot", "claim.gate", "claim.combine", "claim.token", "claim.y",
            "claim.router_state", "claim.key_logits", "claim.shared_logits", "claim.shared_gate"];
        return c.Without(c.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.", StringComparison.Ordinal) && !kept.Contains(n)));
    }

    static bool Reproduces(Case variant, Func<IBackend> backend) =>
        Diagnosis.TryCheck(variant, backend)?.Stages.FirstOrDefault(s => s.Stage == "y") is { Outcome: Outcome.Agrees };

    /// <summary>Every token has what another token should have.</summary>
    static Cause? Shifted(Case c, Departure of)
    {
        var width = c.Get("x").Size(-1);
        var tokens = of.Claimed.Length / width;
        foreach (var by in (int[])[1, -1])
        {
            if (tokens < 3) return null;
            var inside = Enumerable.Range(0, tokens).Where(t => t + by >= 0 && t + by < tokens);
            bool Same(int here, int there) => Enumerable.Range(0, width)
                .All(j => Math.Abs(of.Claimed[here * width + j] - of.Expected[there * width + j]) <= of.Bounds[there * width + j]);
            if (!inside.All(t => Same(t, t + by))) continue;
            return new("tokens", $"shifted by {by}", $"tokens are shifted by one: each has the output of the token {(by > 0 ? "after" : "before")} it");
        }
        return null;
    }

    /// <summary>Experts whose every token departs, all of them missing or doubled together.</summary>
    static IEnumerable<OutputVariant> OfDepartingExperts(Case c, Departure of)
    {
        if (Departing(c, of) is not { Experts.Count: > 1 } departing || c.Find("experts.wo") is not { } wo) yield break;
        if (departing.Experts.Count >= wo.Size(0)) yield break;
        var names = string.Join(", ", departing.Experts.SkipLast(1)) + $" and {departing.Experts[^1]}";
        if (departing.Experts.Count % 2 == 0)
        {
            var pairs = departing.Experts.Chunk(2).ToArray();
            int Partner(int e) => pairs.FirstOrDefault(p => p.Contains(e)) is { } pair ? pair[0] + pair[1] - e : e;
            var both = string.Join(", ", pairs.Select(p => $"{p[0]} with {p[1]}"));
            yield return OutputVariants.Placed(c, Partner, "exchanged", $"experts are exchanged: {both}");
        }
        OutputVariant All(double factor, string value, string sentence) =>
            new(new("experts", $"{names} {value}", $"experts {names} {sentence}"), c.With(OutputVariants.Weighted(c, e => departing.Experts.Contains(e) ? factor : 1)));
        yield return All(0, "missing", "add nothing");
        yield return All(2, "twice", "are in y twice");
    }

    /// <param name="Tokens">Tokens whose y departs.</param>
    /// <param name="Experts">Experts all of whose tokens depart.</param>
    internal sealed record DepartingTokens(IReadOnlyList<int> Tokens, IReadOnlyList<int> Experts);

    static DepartingTokens? Departing(Case c, Departure of)
    {
        var width = c.Get("x").Size(-1);
        var tokens = of.Places.Select(i => i / width).Distinct().ToArray();
        if (c.Find("claim.expert") is not { } expert || tokens.Length == 0) return tokens.Length == 0 ? null : new(tokens, []);
        var (k, departs) = (expert.Size(-1), tokens.ToHashSet());
        var gate = c.Find("claim.gate");
        var users = new Dictionary<int, List<int>>();
        for (var i = 0; i < expert.Values.Length; i++)
            if (expert.Values[i] >= 0 && (gate is null || gate.Values[i] != 0))
            {
                if (!users.TryGetValue((int)expert.Values[i], out var list)) users[(int)expert.Values[i]] = list = [];
                list.Add(i / k);
            }
        return new(tokens, [.. users.Where(u => u.Value.All(departs.Contains)).Select(u => u.Key).Order()]);
    }

    /// <summary>What the departing tokens have in common, in words; null where it is nothing.</summary>
    public static string? Pattern(Case c, Departure of)
    {
        if (Departing(c, of) is not { } departing) return null;
        var (tokens, size) = (departing.Tokens, c.Get("x").Size(1));
        var all = of.Claimed.Length / c.Get("x").Size(-1);
        if (tokens.Count == all) return all > 1 ? "every token departs" : null;
        var which = tokens.Count == 1 ? "the one departing token" : $"all {tokens.Count} departing tokens";
        if (departing.Experts.Count > 0 && c.Find("claim.expert") is { } expert)
        {
            var k = expert.Size(-1);
            bool Uses(int t, IReadOnlyList<int> some) => Enumerable.Range(t * k, k).Any(i => some.Contains((int)expert.Values[i]));
            if (departing.Experts.FirstOrDefault(e => tokens.All(t => Uses(t, [e])), -1) is >= 0 and var one)
                return $"{which} {(tokens.Count == 1 ? "uses" : "use")} expert {one}";
            if (departing.Experts.Count <= 4 && tokens.All(t => Uses(t, departing.Experts)))
                return $"{which} use expert {string.Join(" or ", departing.Experts)}";
        }
        var (are, their) = tokens.Count == 1 ? ("is", "its") : ("are", "their");
        if (tokens.All(t => t % size == size - 1)) return $"{which} {are} the last of {their} group";
        if (tokens.All(t => t % size == 0)) return $"{which} {are} the first of {their} group";
        if (tokens.Count > 2 && tokens[^1] - tokens[0] == tokens.Count - 1) return $"tokens {tokens[0]} to {tokens[^1]} depart, the others do not";
        return null;
    }
}
