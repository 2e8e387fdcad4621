namespace SparseExperts.Routing;

/// <summary>The part of the experts with the largest sum of scores, then the k best inside (Hetu SAMGate).</summary>
static class BestPart
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var d = call.Dialect;
        int k = d.K, part = call.Experts / d.Groups;
        var ranking = Ranking.Of(numbers.Scores, call.Experts);
        var expert = new int[call.Tokens * k];
        for (var t = 0; t < call.Tokens; t++)
        {
            var masses = new double[d.Groups];
            for (var e = 0; e < call.Experts; e++) masses[e / part] = (float)(masses[e / part] + ranking.Row(t)[e]);
            var best = Ranking.Top(masses, 1, d.Ties)[0];
            var inside = Ranking.Top(ranking.Row(t).Slice(best * part, part), k, d.Ties);
            for (var j = 0; j < k; j++) expert[t * k + j] = best * part + inside[j];
        }
        return new() { K = k, Candidate = expert, Expert = (int[])expert.Clone() };
    }
}
