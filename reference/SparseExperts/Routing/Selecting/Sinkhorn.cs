namespace SparseExperts.Routing;

/// <summary>
/// Balanced choice by Sinkhorn's iterations: rows and columns of K = eˡ are scaled in turn until each expert gets T/E of the mass, then each
/// token takes its k best of the plan (Megatron moe_utils.py, sinkhorn; S-BASE, Clark et al. 2022, appendix B). Evaluation is plain top-k.
/// </summary>
public static class Sinkhorn
{
    const double Tolerance = 1e-4, Guard = 1e-8;
    const int Limit = 100_000;

    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var byScores = call.Dialect with { SelectBy = SelectBy.Scores };
        if (!call.Training)
            return TopK.Select(call with { Dialect = byScores }, numbers with { Scores = Activation(call, numbers.Logits.Values) });
        var plan = Plan(call, numbers.Logits.Values, out _);
        // The iterations run in float32 there: the plan is known to about a hundred roundings.
        var errors = Array.ConvertAll(plan, p => 128 * Rounding.HalfUnit(NumberFormat.Float32, p));
        var transported = numbers with { Scores = new(plan, errors), CorrectionBias = [] };
        return TopK.Select(call with { Dialect = byScores with { Groups = 1 } }, transported);
    }

    /// <summary>What evaluation ranks: the gate function's own float32 values, in which saturated logits tie.</summary>
    static Numbers Activation(RouterCall call, double[] logits)
    {
        double[] values = new double[logits.Length], errors = new double[logits.Length];
        for (var start = 0; start < logits.Length; start += call.Experts)
        {
            var row = logits.AsSpan(start, call.Experts);
            double max = double.NegativeInfinity, sum = 0;
            foreach (var l in row) max = Math.Max(max, l);
            foreach (var l in row) sum += ReproducibleMath.Exp(l - max);
            for (var e = 0; e < call.Experts; e++)
            {
                values[start + e] = (float)(call.K == 1 ? 1 / (1 + ReproducibleMath.Exp(-row[e])) : ReproducibleMath.Exp(row[e] - max) / sum);
                errors[start + e] = 4 * Rounding.HalfUnit(NumberFormat.Float32, values[start + e]);
            }
        }
        return new(values, errors);
    }

    /// <summary>d₁·K·d₀ [T, E]: rows sum to 1/T, columns to about 1/E.</summary>
    public static double[] Plan(RouterCall call, double[] logits, out int iterations)
    {
        int tokens = call.Tokens, experts = call.Experts;
        var cost = Array.ConvertAll(logits, ReproducibleMath.Exp);
        for (var i = 0; i < cost.Length; i++)
        {
            if (cost[i] <= float.MaxValue) continue;
            var place = $"token {i / experts} for expert {i % experts} overflows float32 (logit {logits[i]:G6})";
            throw new RoutingException($"{call.Where}: e^l of {place}, and Sinkhorn's iterations take no maximum off; keep logits below 88");
        }
        double[] rows = new double[tokens], columns = [.. Enumerable.Repeat(1.0, experts)];
        for (iterations = 1; iterations <= Limit; iterations++)
        {
            call.Effort.Spend(2L * cost.Length, call.Where, "Sinkhorn's iteration");
            for (var t = 0; t < tokens; t++)
            {
                double sum = 0;
                for (var e = 0; e < experts; e++) sum += columns[e] * cost[t * experts + e];
                rows[t] = 1.0 / tokens / (sum + Guard);
            }
            double change = 0;
            for (var e = 0; e < experts; e++)
            {
                double sum = 0;
                for (var t = 0; t < tokens; t++) sum += rows[t] * cost[t * experts + e];
                var scaled = 1.0 / experts / (sum + Guard);
                change += Math.Abs(scaled - columns[e]);
                columns[e] = scaled;
            }
            if (change / experts <= Tolerance) break;
        }
        if (iterations > Limit)
            throw new RoutingException(
                $"{call.Where}: Sinkhorn's iteration did not converge within {Limit} rounds; look for an expert whose logits are all tiny");
        for (var i = 0; i < cost.Length; i++) cost[i] *= columns[i % experts] * rows[i / experts];
        return cost;
    }
}
