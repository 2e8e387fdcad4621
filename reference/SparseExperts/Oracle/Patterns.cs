namespace SparseExperts.Oracle;

/// <summary>What the departing tokens of a stage have in common, in words.</summary>
static class Patterns
{
    static readonly string[] OfTokens = ["logits", "scores", "expert", "slot", "gate", "combine", "y", "shared_gate", "shared_logits"];

    /// <param name="Tokens">Tokens that depart.</param>
    /// <param name="Experts">Experts all of whose tokens depart.</param>
    internal sealed record DepartingTokens(IReadOnlyList<int> Tokens, IReadOnlyList<int> Experts);

    /// <summary>Tokens that depart, and experts all of whose tokens do; null where the stage has no rows of tokens, or none departs.</summary>
    public static DepartingTokens? Departing(Case c, Departure of)
    {
        var shape = (c.Find("x") ?? c.Get("claim.logits")).Shape;
        var all = (int)(shape[0] * shape[1]);
        if (all == 0 || of.Claimed.Length % all != 0) return null;
        var width = of.Claimed.Length / all;
        var tokens = of.Places.Select(i => i / width).Distinct().ToArray();
        if (c.Find("claim.expert") is not { } expert || tokens.Length == 0) return tokens.Length == 0 ? null : new(tokens, []);
        var (k, departs) = (expert.Size(-1), tokens.ToHashSet());
        var gate = c.Find("claim.gate");
        var users = new Dictionary<int, List<int>>();
        for (var i = 0; i < expert.Values.Length; i++)
            if (expert.Values[i] >= 0 && (gate is null || gate.Values.Length != expert.Values.Length || gate.Values[i] != 0))
            {
                if (!users.TryGetValue((int)expert.Values[i], out var list)) users[(int)expert.Values[i]] = list = [];
                list.Add(i / k);
            }
        return new(tokens, [.. users.Where(u => u.Value.All(departs.Contains)).Select(u => u.Key).Order()]);
    }

    /// <summary>The sentence; null where they have nothing in common.</summary>
    public static string? Of(Case c, string stage, Departure of)
    {
        if (!OfTokens.Contains(stage) || Departing(c, of) is not { } departing) return null;
        var shape = (c.Find("x") ?? c.Get("claim.logits")).Shape;
        var (tokens, size, all) = (departing.Tokens, (int)shape[1], (int)(shape[0] * shape[1]));
        if (tokens.Count == all) return all > 1 ? "every token departs" : null;
        var which = tokens.Count == 1 ? "the one departing token" : $"all {tokens.Count} departing tokens";
        var (are, their) = tokens.Count == 1 ? ("is", "its") : ("are", "their");
        if (c.Find("padding") is { } padding && tokens.All(t => padding.Values[t] != 1))
            return $"{which} {are} padding: {their} rows hold what an earlier call left there, or the engine treats padding otherwise";
        if (stage == "y" && departing.Experts.Count > 0 && c.Find("claim.expert") is { } expert)
        {
            var k = expert.Size(-1);
            bool Uses(int t, IReadOnlyList<int> some) => Enumerable.Range(t * k, k).Any(i => some.Contains((int)expert.Values[i]));
            if (departing.Experts.FirstOrDefault(e => tokens.All(t => Uses(t, [e])), -1) is >= 0 and var one)
                return $"{which} {(tokens.Count == 1 ? "uses" : "use")} expert {one}";
            if (departing.Experts.Count <= 4 && tokens.All(t => Uses(t, departing.Experts)))
                return $"{which} use expert {string.Join(" or ", departing.Experts)}";
        }
        if (tokens.All(t => t % size == size - 1)) return $"{which} {are} the last of {their} group";
        if (tokens.All(t => t % size == 0)) return $"{which} {are} the first of {their} group";
        if (tokens.Count > 2 && tokens[^1] - tokens[0] == tokens.Count - 1) return $"tokens {tokens[0]} to {tokens[^1]} depart, the others do not";
        return null;
    }
}
