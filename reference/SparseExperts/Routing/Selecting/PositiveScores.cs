namespace SparseExperts.Routing;

/// <summary>Every expert whose score is positive: as many as it happens to be (ReMoE, Wang et al. 2024, section 3).</summary>
static class PositiveScores
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var experts = call.Experts;
        var expert = new int[call.Tokens * experts];
        for (var i = 0; i < expert.Length; i++) expert[i] = numbers.Scores.Values[i] > 0 ? i % experts : -1;
        return new() { K = experts, Candidate = (int[])expert.Clone(), Expert = expert, Rankings = [Ranking.Of(numbers.Scores, experts)] };
    }
}

/// <summary>
/// Dense to sparse: while training k grows to the mean number of experts whose Gumbel-softmax score exceeds 0.001; in evaluation plain top-k
/// (Nie et al. 2021; FastMoE CustomDTSGate).
/// </summary>
static class DynamicTopK
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var k = call.K;
        if (call.Training) k = Math.Clamp(numbers.Scores.Values.Count(q => q > 0.001) / Math.Max(1, call.Tokens), k, call.Experts);
        return TopK.Select(call with { Dialect = call.Dialect with { K = k } }, numbers);
    }
}

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

/// <summary>
/// Appendix F of Shazeer et al. 2017: while training each expert takes its m = k·T/E best tokens of the batch; in evaluation, without a
/// batch to look at, all tokens whose score exceeds the expert's learned threshold.
/// </summary>
static class Batchwise
{
    public static Choices Select(RouterCall call, RouterNumbers numbers, Func<int> capacity)
    {
        if (call.Training) return ExpertChoice.Select(call, numbers, capacity());
        if (numbers.Thresholds.Length != call.Experts) throw new RoutingException($"{call.Where}: {call.Dialect.Name} needs a threshold for every expert in evaluation; give router.thresholds [{call.Experts}]");
        var expert = new int[numbers.Scores.Values.Length];
        for (var i = 0; i < expert.Length; i++) expert[i] = numbers.Scores.Values[i] > numbers.Thresholds[i % call.Experts] ? i % call.Experts : -1;
        return new() { K = call.Experts, Candidate = (int[])expert.Clone(), Expert = expert };
    }
}

/// <summary>
/// Top-k of logits minus β, β an expert's running quantile: the (T·k/E + 1)-th largest of l − α, α a token's (k + 1)-th value
/// (Megatron moe_utils.py, qb_dual_update).
/// </summary>
static class Quantile
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var lowered = numbers.CorrectionBias.Length == 0 ? numbers : numbers with { CorrectionBias = [.. numbers.CorrectionBias.Select(b => -b)] };
        return TopK.Select(call, lowered);
    }

    /// <summary>β of one batch; β_new = mean over batches, then centred.</summary>
    public static double[] Beta(RouterCall call, double[] logits, double[] beta)
    {
        int tokens = call.Tokens, experts = call.Experts, k = call.K, rank = tokens * k / experts;
        if (tokens * k % experts != 0) throw new RoutingException($"{call.Where}: {tokens} tokens with {k} choices cannot be shared equally among {experts} experts; choose numbers that divide");
        var alpha = new double[tokens];
        for (var t = 0; t < tokens; t++)
        {
            var row = new double[experts];
            for (var e = 0; e < experts; e++) row[e] = logits[t * experts + e] - beta[e];
            Array.Sort(row);
            alpha[t] = row[^Math.Min(k + 1, experts)];
        }
        var result = new double[experts];
        for (var e = 0; e < experts; e++)
        {
            var column = new double[tokens];
            for (var t = 0; t < tokens; t++) column[t] = logits[t * experts + e] - alpha[t];
            Array.Sort(column);
            result[e] = column[^Math.Min(rank + 1, tokens)];
        }
        var mean = result.Average();
        return [.. result.Select(b => b - mean)];
    }

    /// <summary>
    /// The same with bounds. An order statistic moves by no more than the largest of its numbers does, so that with δ₁ the error of l − β and δ₂ that of
    /// l − α, both subtracted once in float32, a quantile is off by δ₁ + δ₂ at most, and its mean over E experts by that and E roundings of the sum.
    /// </summary>
    public static Numbers BetaWithErrors(RouterCall call, Numbers logits, double[] beta)
    {
        var after = Beta(call, logits.Values, beta);
        double Largest(IEnumerable<double> values) => values.Select(Math.Abs).DefaultIfEmpty(0).Max();
        double l = Largest(logits.Values), error = Largest(logits.Errors), b = Largest(beta);
        var lowered = error + Rounding.HalfUnit(NumberFormat.Float32, l + b);
        var quantile = error + lowered + Rounding.HalfUnit(NumberFormat.Float32, 2 * l + b);
        var centred = 2 * quantile + (call.Experts + 1) * Rounding.HalfUnit(NumberFormat.Float32, 2 * l + b);
        return new(after, [.. after.Select(_ => centred)]);
    }
}
