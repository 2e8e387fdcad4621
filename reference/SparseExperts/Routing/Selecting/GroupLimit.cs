namespace SparseExperts.Routing;

/// <summary>
/// Group-limited selection: E experts in equal contiguous groups, a token keeps the best groups and ranks only their experts
/// (DeepSeek-V2, section 2.1.2; Megatron moe_utils.py group_limited_topk).
/// </summary>
static class GroupLimit
{
    public static Ranking Apply(RouterCall call, Ranking ranking)
    {
        var d = call.Dialect;
        int experts = call.Experts, perGroup = experts / d.Groups;
        var values = (double[])ranking.Values.Clone();
        for (var t = 0; t < call.Tokens; t++)
        {
            var kept = Ranking.Top(Scores(d, ranking.Row(t), perGroup), d.GroupsKept, d.Ties);
            for (var e = 0; e < experts; e++)
                if (!kept.Contains(e / perGroup)) values[t * experts + e] = d.GroupMask == GroupMask.Zero ? 0 : double.NegativeInfinity;
        }
        return ranking with { Values = values };
    }

    /// <summary>A group's best score, or the sum of its n best, added in float32.</summary>
    public static double[] Scores(Dialect d, ReadOnlySpan<double> row, int perGroup)
    {
        var scores = new double[d.Groups];
        for (var g = 0; g < d.Groups; g++)
        {
            var best = row.Slice(g * perGroup, perGroup).ToArray();
            Array.Sort(best, (a, b) => b.CompareTo(a));
            var sum = (float)best[0];
            for (var i = 1; i < Math.Min(d.GroupScore.Count, perGroup); i++) sum += (float)best[i];
            scores[g] = sum;
        }
        return scores;
    }
}
