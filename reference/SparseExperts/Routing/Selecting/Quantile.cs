namespace SparseExperts.Routing;

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
        if (tokens * k % experts != 0)
        {
            var shares = $"{tokens} tokens with {k} choices cannot be shared equally among {experts} experts";
            throw new RoutingException($"{call.Where}: {shares}; choose numbers that divide");
        }
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
