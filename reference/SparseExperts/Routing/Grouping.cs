namespace SparseExperts.Routing;

/// <summary>
/// How the tokens of a batch become groups, by the dialect's <see cref="Dialect.GroupSize"/>, <see cref="Dialect.GroupSplit"/> and
/// <see cref="Dialect.Replicas"/>. The start is a floor, so that a group can be larger than the size; tokens lie row by row, so that groups cross sequences.
/// </summary>
public static class Grouping
{
    /// <summary>Number of groups of a batch of equally long sequences.</summary>
    /// <exception cref="RoutingException">No number of groups fits; <see cref="Padding"/> says which batch would.</exception>
    public static int Count(Dialect d, int tokens, int sequences, int experts)
    {
        if (tokens == 0) return 1;
        if (d.GroupSize < 0) return sequences;
        if (d.GroupSize == 0) return 1;
        var step = Multiple(d, experts);
        if (tokens % step != 0)
            throw new RoutingException($"{d.Name}: {tokens} tokens cannot be cut into groups: replicas · E = {step} must divide them; choose such a batch");
        var groups = Math.Max(step, tokens / d.GroupSize);
        while (tokens % groups != 0 || groups % step != 0) groups++;
        return groups;
    }

    /// <summary>
    /// Zero tokens that are added so that a number of groups exists: longer sequences or more of them, whichever adds fewer tokens, longer ones if equal
    /// (flaxformer moe_layers.py, _maybe_pad).
    /// </summary>
    /// <returns>Sequences and their length, as they are without padding where none is needed.</returns>
    public static (int Sequences, int Length) Padding(Dialect d, int sequences, int length, int experts)
    {
        var step = d.GroupSize > 0 ? Multiple(d, experts) : 1;
        int longer = length, more = sequences;
        while (sequences * longer % step != 0) longer++;
        while (more * length % step != 0) more++;
        return sequences * longer <= more * length ? (sequences, longer) : (more, length);
    }

    static int Multiple(Dialect d, int experts) => d.GroupSplit switch
    {
        GroupSplit.AnyDivisor => 1,
        GroupSplit.MultipleOfExperts => d.Replicas * experts,
        _ => throw new ArgumentOutOfRangeException(nameof(d), d.GroupSplit, "unknown way of splitting"),
    };
}
