namespace SparseExperts.Routing;

/// <summary>
/// The second choice sees how fast first choices fill the experts and avoids those that look exhausted at its place in the sequence
/// (Tensor2Tensor expert_utils.py, local_moe_tpu).
/// </summary>
/// <remarks>
/// score₂ = p − [first choice, if kept] − [t &gt; (C − n_e)/((n_e + 1)/S)], n_e kept first choices. A dropped first choice can be chosen again.
/// </remarks>
static class ExhaustionAware
{
    public static Choices Select(RouterCall call, RouterNumbers numbers, int capacity)
    {
        var d = call.Dialect;
        int tokens = call.Tokens, experts = call.Experts, size = call.Size;
        var first = Ranking.Of(numbers.Scores, experts);
        double[] second = new double[tokens * experts], errors = new double[tokens * experts];
        var candidate = new int[tokens * 2];
        var nobody = new bool[experts];
        for (var g = 0; g < call.Groups; g++)
        {
            int[] taken = new int[experts], asked = new int[experts];
            var kept = new bool[size];
            for (var t = 0; t < size; t++)
            {
                var e = candidate[(g * size + t) * 2] = Ranking.Best(first.Row(g * size + t), nobody, d.Ties);
                kept[t] = asked[e]++ < capacity;
                if (kept[t]) taken[e]++;
            }
            for (var t = 0; t < size; t++)
            {
                var token = g * size + t;
                for (var e = 0; e < experts; e++)
                {
                    float rate = (float)(taken[e] + 1) / size, space = capacity - taken[e];
                    var isExhausted = t > space / rate;
                    var isFirst = kept[t] && candidate[token * 2] == e;
                    var score = (float)first.Row(token)[e] - (isFirst ? 1f : 0f) - (isExhausted ? 1f : 0f);
                    (second[token * experts + e], errors[token * experts + e]) = (score, first.Error(token, e));
                }
                candidate[token * 2 + 1] = Ranking.Best(second.AsSpan(token * experts, experts), nobody, d.Ties);
            }
        }
        return new() { K = 2, Candidate = candidate, Expert = (int[])candidate.Clone(), Rankings = [first, new(second, errors, experts)] };
    }
}
