namespace SparseExperts.Routing;

/// <summary>
/// The balanced assignment with the largest sum of scores: T/E tokens for every expert (Lewis et al. 2021, eq. 3). Tokens enter one by one; each
/// pushes others along the cheapest chain of moves from its expert to one with room, which keeps the assignment optimal at every step
/// (successive shortest paths on E nodes).
/// </summary>
public static class OptimalAssignment
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        int size = call.Size, experts = call.Experts;
        if (!call.Training) return TopK.Select(call, numbers);
        if (size % experts != 0)
            throw new RoutingException($"{call.Where}: {size} tokens cannot be shared equally among {experts} experts; choose numbers that divide");
        var jobs = size / experts;
        var token = new int[call.Groups * size];
        for (var g = 0; g < call.Groups; g++)
        {
            var home = Assign(numbers.Logits.Values.AsSpan(g * size * experts, size * experts), experts, jobs, call);
            var used = new int[experts];
            for (var t = 0; t < size; t++) token[(g * experts + home[t]) * jobs + used[home[t]]++] = t;
        }
        return Choices.FromTokens(token, call.Groups, size, experts, [ExpertChoice.Columns(call, numbers.Logits)]);
    }

    /// <summary>The expert of every token; scores [tokens, experts], room for <paramref name="jobs"/> tokens each.</summary>
    /// <remarks>Without rounding no cycle of moves gains anything, so that the longest chain is known after as many passes as there are experts.</remarks>
    public static int[] Assign(ReadOnlySpan<double> scores, int experts, int jobs, RouterCall call)
    {
        var values = scores.ToArray();
        // What the sums along a chain may lose: no gain below it is real.
        var least = 1e-12 * Math.Max(1, values.Length == 0 ? 0 : values.Max(v => double.IsFinite(v) ? Math.Abs(v) : 0));
        var tokens = values.Length / experts;
        var home = new int[tokens];
        var members = new List<int>[experts];
        for (var e = 0; e < experts; e++) members[e] = [];
        double[,] gain = new double[experts, experts];
        int[,] mover = new int[experts, experts];
        void Refresh(int from)
        {
            for (var to = 0; to < experts; to++)
            {
                gain[from, to] = double.NegativeInfinity;
                foreach (var t in members[from])
                    if (values[t * experts + to] - values[t * experts + from] is var g && g > gain[from, to]) (gain[from, to], mover[from, to]) = (g, t);
            }
        }
        for (var t = 0; t < tokens; t++)
        {
            // Longest gain to each expert, starting with the new token itself; Bellman–Ford, no cycle gains anything.
            double[] best = new double[experts];
            var before = new int[experts];
            Array.Fill(before, -1);
            for (var e = 0; e < experts; e++) best[e] = values[t * experts + e];
            var passes = 0;
            for (var changed = true; changed; passes++)
            {
                call.Effort.Spend(4L * experts * experts, call.Where, "the optimal assignment");
                if (passes > experts) throw Endless(call, t);
                changed = false;
                for (var from = 0; from < experts; from++)
                    for (var to = 0; to < experts; to++)
                        if (from != to && best[from] + gain[from, to] > best[to] + least && members[from].Count > 0)
                            (best[to], before[to], changed) = (best[from] + gain[from, to], from, true);
            }
            var end = -1;
            for (var e = 0; e < experts; e++)
                if (members[e].Count < jobs && (end < 0 || best[e] > best[end])) end = e;
            for (var moves = 0; before[end] >= 0; end = before[end])
            {
                if (++moves > experts) throw Endless(call, t);
                var moved = mover[before[end], end];
                members[before[end]].Remove(moved);
                members[end].Add(moved);
                home[moved] = end;
                Refresh(end);
            }
            members[end].Add(t);
            home[t] = end;
            Refresh(end);
        }
        return home;
    }

    static RoutingException Endless(RouterCall call, int token) =>
        new($"{call.Where}: the optimal assignment did not converge at token {token}; look for router scores over many magnitudes");
}
