namespace SparseExperts.Routing;

/// <summary>
/// Who wants whom, before anybody is dropped. Token choice fills <see cref="Candidate"/> and <see cref="Expert"/>; expert choice fills
/// <see cref="Token"/> and the rest follows from it.
/// </summary>
public sealed record Choices
{
    public required int K { get; init; }

    /// <summary>Ranked experts of every token [T·K], used or not; −1 where a token has none.</summary>
    public required int[] Candidate { get; init; }

    /// <summary>Requests [T·K]: the candidates that the policy uses and that are not padding; −1 elsewhere.</summary>
    public required int[] Expert { get; init; }

    /// <summary>What choice j is decided by; a single ranking serves all.</summary>
    public IReadOnlyList<Ranking> Rankings { get; init; } = [];

    /// <summary>Tokens of every (group, expert, slot), counted within the group, −1 for an empty slot; empty unless experts choose.</summary>
    public int[] Token { get; init; } = [];

    /// <summary>Slots that the selection has already given out [T·K]; empty where they are assigned afterwards.</summary>
    public int[] Slot { get; init; } = [];

    /// <summary>Whom a plan names, where nobody knows more.</summary>
    public static Choices Of(RoutingPlan plan) => new() { K = plan.Choices, Candidate = plan.Expert, Expert = plan.Expert };

    public bool ByExperts => Token.Length > 0;
    public Ranking RankingOf(int choice) => Rankings[Math.Min(choice, Rankings.Count - 1)];

    /// <summary>Whether a choice is an expert that the token has chosen before and whose score became 0.</summary>
    internal bool IsRepeated(RouterCall call, int choice)
    {
        if (call.Dialect.Taken != Taken.Zeroed || Rankings.Count != 1 || Candidate[choice] < 0) return false;
        int token = choice / K, first = token * K;
        if (call.Dialect.Padding == PaddingRule.Skipped && !call.IsReal(token)) first++;       // that token's first choice was no choice
        for (var i = first; i < choice; i++)
            if (Candidate[i] == Candidate[choice]) return true;
        return false;
    }

    internal bool Repeats(RouterCall call)
    {
        if (call.Dialect.Taken != Taken.Zeroed || K < 2) return false;
        for (var i = 0; i < Candidate.Length; i++)
            if (IsRepeated(call, i)) return true;
        return false;
    }

    /// <summary>Requests of every (group, expert).</summary>
    public int[] Loads(int groups, int experts)
    {
        var loads = new int[groups * experts];
        var perGroup = Expert.Length / K / groups;
        for (var i = 0; i < Expert.Length; i++)
            if (Expert[i] >= 0) loads[i / K / perGroup * experts + Expert[i]]++;
        return loads;
    }

    /// <summary>
    /// Requests as Tutel sees them where it looks for the largest load: all of the earlier choices', and of the last choice only the last token's
    /// place in the order of service, plus one for every expert.
    /// </summary>
    /// <param name="order">Tokens of the group as they are served.</param>
    public int[] LoadsAtLastToken(int experts, ReadOnlySpan<int> order)
    {
        var loads = new int[experts];
        Array.Fill(loads, 1);
        foreach (var t in order)
            for (var j = 0; j < K - 1; j++) loads[Expert[t * K + j]]++;
        var last = Expert[(order.Length - 1) * K + K - 1];
        foreach (var t in order)
        {
            if (t == order.Length - 1) break;
            if (Expert[t * K + K - 1] == last) loads[last]++;
        }
        return loads;
    }

    /// <summary>
    /// From the tokens in slots to one row a token: choices in ascending expert order, as many columns as the most wanted token has experts.
    /// </summary>
    public static Choices FromTokens(int[] token, int groups, int size, int experts, IReadOnlyList<Ranking> rankings)
    {
        var capacity = token.Length / groups / experts;
        var counts = new int[groups * size];
        for (var i = 0; i < token.Length; i++)
            if (token[i] >= 0) counts[i / (experts * capacity) * size + token[i]]++;
        var k = Math.Max(1, counts.Length == 0 ? 1 : counts.Max());
        int[] expert = new int[groups * size * k], slot = new int[groups * size * k], used = new int[groups * size];
        Array.Fill(expert, -1);
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var i = 0; i < token.Length; i++)
        {
            if (token[i] < 0) continue;
            var t = i / (experts * capacity) * size + token[i];
            expert[t * k + used[t]] = i / capacity % experts;
            slot[t * k + used[t]++] = i % capacity;
        }
        return new() { K = k, Candidate = expert, Expert = expert, Slot = slot, Token = token, Rankings = rankings };
    }
}
