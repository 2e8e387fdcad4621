namespace SparseExperts.Routing;

/// <summary>Whether a later choice is used (Mesh-TensorFlow moe.py, second_policy; GShard, algorithm 1, line 15).</summary>
public static class PolicyTest
{
    const double EntropyGuard = 1e-9;

    public static bool Uses(RouterCall call, RouterNumbers numbers, int[] candidate, int token, int choice, Policy policy)
    {
        var d = call.Dialect;
        switch (policy)
        {
            case Policy.None: return false;
            case Policy.Threshold: return Gate(call, numbers, candidate, token, choice).Value > (float)d.Threshold;
            case Policy.Random:
                var (test, _) = Margin(call, numbers, candidate, token, choice);
                return d.RandomTest == RandomTest.NotBelow ? test >= 0 : test > 0;
            case Policy.Entropy: return choice < d.KLeast || OverEntropy(call, numbers, token, choice).Margin >= 0;
            case Policy.All or Policy.Sample: return true;
            default: throw new RoutingException($"{call.Where}: unknown policy {policy}");
        }
    }

    /// <summary>By how much the test of a random, threshold or entropy policy passes, and how much rounding can change that.</summary>
    public static (double Margin, double Error) Margin(RouterCall call, RouterNumbers numbers, int[] candidate, int token, int choice)
    {
        var d = call.Dialect;
        if (d.Policy == Policy.Entropy) return choice < d.KLeast ? (double.PositiveInfinity, 0) : OverEntropy(call, numbers, token, choice);
        var (gate, error) = Gate(call, numbers, candidate, token, choice);
        if (d.Policy == Policy.Threshold) return (gate - (float)d.Threshold, error);
        var factor = Factor(d);
        var drawn = call.Draws.PolicyOf(token, choice, d.K);
        return (factor * gate - drawn, factor * error + 4 * Rounding.HalfUnit(NumberFormat.Float32, factor * gate));
    }

    /// <summary>
    /// By how much the entropy of a token's scores reaches the threshold of a choice, of which the lower one brings it from the fewest to half-way to k
    /// (TensorRT-LLM #10672, select_k_per_token).
    /// </summary>
    static (double Margin, double Error) OverEntropy(RouterCall call, RouterNumbers numbers, int token, int choice)
    {
        var d = call.Dialect;
        double entropy = 0, error = 0;
        for (var e = 0; e < call.Experts; e++)
        {
            var p = numbers.Scores[token, e, call.Experts];
            var logarithm = ReproducibleMath.Log(p + EntropyGuard);
            entropy -= p * logarithm;
            error += numbers.Scores.Errors[token * call.Experts + e] * (Math.Abs(logarithm) + 1)
                + 4 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(p * logarithm) + p);
        }
        var threshold = choice < (d.KLeast + d.K) / 2 ? d.Threshold : d.UpperThreshold;
        return (entropy - threshold, error + call.Experts * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(entropy)));
    }

    /// <summary>What the random policy multiplies a gate by.</summary>
    internal static double Factor(Dialect d) => d.RandomTest == RandomTest.OverThreshold ? 1 / Math.Max(d.Threshold, 1e-9) : 2;

    /// <summary>The gate as it stands before the policy: normalised where the dialect normalises early, raw elsewhere.</summary>
    static (double Value, double Error) Gate(RouterCall call, RouterNumbers numbers, int[] candidate, int token, int choice)
    {
        var d = call.Dialect;
        // An expert that comes again comes with a score of 0.
        var repeats = d.Taken == Taken.Zeroed && (d.LaterBy ?? d.SelectBy) == d.SelectBy;
        bool Again(int j) =>
            repeats
            && candidate.AsSpan(token * d.K, j).Contains(candidate[token * d.K + j])
            && call.IsReal(token);
        double Raw(int j) => candidate[token * d.K + j] is >= 0 and var e && !Again(j) ? numbers.Scores[token, e, call.Experts] : 0;
        double Slack(int j) => candidate[token * d.K + j] is >= 0 and var e ? numbers.Scores.Errors[token * call.Experts + e] : 0;
        if (d.Score == Score.SoftmaxPost)
        {
            double max = double.NegativeInfinity, sum = 0;
            for (var j = 0; j < d.K; j++) max = Math.Max(max, Raw(j));
            for (var j = 0; j < d.K; j++) sum += ReproducibleMath.Exp(Raw(j) - max);
            var share = ReproducibleMath.Exp(Raw(choice) - max) / sum;
            return (share, share * (8 * Math.ScaleB(1, -24) + 2 * Slack(choice)));
        }
        if (d.Normalize != Normalize.BeforeDrop || d.RandomTest == RandomTest.TwiceRaw) return (Raw(choice), Slack(choice));
        double total = 0, slack = 0;
        for (var j = 0; j < d.K; j++)
        {
            // The first gate of a token whose mask is below 1 is 0, so that its second counts alone.
            var counts = j > 0 || call.IsReal(token) || d.Padding != PaddingRule.Skipped;
            total += counts ? Raw(j) : 0;
            slack += Slack(j);
        }
        var divisor = d.NormalizeGuard switch
        {
            NormalizeGuard.Added => total + d.NormalizeEpsilon,
            NormalizeGuard.AtLeast => Math.Max(total, d.NormalizeEpsilon),
            NormalizeGuard.None or NormalizeGuard.OneUnlessPositive => total > 0 ? total : 1,
            var other => throw new RoutingException($"{call.Where}: unknown guard {other}"),
        };
        var gate = Raw(choice) / divisor;
        return (gate, (Slack(choice) + gate * slack) / divisor + 4 * Rounding.HalfUnit(NumberFormat.Float32, gate));
    }
}
