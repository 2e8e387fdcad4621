namespace SparseExperts.Routing;

/// <summary>One expert in each of k equal parts (M6-T, Yang et al. 2021, section 3.3; Hetu KTop1Gate).</summary>
static class Prototypes
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        int k = call.K, part = call.Experts / k;
        var ranking = Ranking.Of(numbers.Scores, call.Experts);
        var expert = new int[call.Tokens * k];
        var nobody = new bool[part];
        for (var t = 0; t < call.Tokens; t++)
            for (var j = 0; j < k; j++) expert[t * k + j] = j * part + Ranking.Best(ranking.Row(t).Slice(j * part, part), nobody, call.Dialect.Ties);
        return new() { K = k, Candidate = expert, Expert = (int[])expert.Clone() };
    }
}
