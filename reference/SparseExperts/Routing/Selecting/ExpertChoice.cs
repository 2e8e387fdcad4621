namespace SparseExperts.Routing;

/// <summary>
/// Each expert takes the C best tokens of its column, group by group, ties to the earlier token (Zhou et al. 2022, section 3.2; Flaxformer
/// ExpertsChooseMaskedRouter; Mesh-TensorFlow _expert_selection_gating). A token can have any number of experts.
/// </summary>
public static class ExpertChoice
{
    public static Choices Select(RouterCall call, RouterNumbers numbers, int capacity)
    {
        var d = call.Dialect;
        var size = call.Size;
        if (capacity > size)
        {
            var takes = $"{d.Name} lets each expert take {capacity} of {size} tokens";
            throw new RoutingException($"{call.Where}: {takes}; lower the capacity or its factor, or enlarge the group");
        }
        var columns = Columns(call, numbers.Scores);
        var token = new int[call.Groups * call.Experts * capacity];
        for (var row = 0; row < columns.Rows; row++)
        {
            var best = Ranking.Top(columns.Row(row), capacity, d.Ties);
            if (d.Padding == PaddingRule.PicksRemoved) best = [.. best.Where(t => call.IsReal(row / call.Experts * size + t))];
            if (d.SlotOrder == SlotOrder.TokenAmongKept) Array.Sort(best);
            var slots = token.AsSpan(row * capacity, capacity);
            slots.Fill(-1);
            best.CopyTo(slots);
        }
        return Choices.FromTokens(token, call.Groups, size, call.Experts, [columns]);
    }

    /// <summary>Scores turned round: one row for every (group, expert), one column a token. Padding scores 0 where the dialect says so.</summary>
    public static Ranking Columns(RouterCall call, Numbers scores)
    {
        int size = call.Size, experts = call.Experts;
        double[] values = new double[scores.Values.Length], errors = new double[values.Length];
        for (var t = 0; t < call.Tokens; t++)
            for (var e = 0; e < experts; e++)
            {
                var i = (t / size * experts + e) * size + t % size;
                var counts = call.IsReal(t) || call.Dialect.Padding is not (PaddingRule.ScoresZeroed or PaddingRule.PicksRemoved);
                (values[i], errors[i]) = counts ? (scores.Values[t * experts + e], scores.Errors[t * experts + e]) : (0, 0);
            }
        return new(values, errors, size);
    }
}
