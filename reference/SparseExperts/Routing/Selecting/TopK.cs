namespace SparseExperts.Routing;

/// <summary>Each token takes its k best experts, one after the other (Shazeer et al. 2017, eq. 5; GShard, algorithm 1).</summary>
public static class TopK
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var rankings = Rankings(call, numbers);
        var candidate = new int[call.Tokens * call.Dialect.K];
        var isOut = new bool[call.Experts];
        var row = new double[call.Experts];
        for (var t = 0; t < call.Tokens; t++) ChooseToken(call, t, rankings, isOut, row, candidate.AsSpan(t * call.Dialect.K, call.Dialect.K));
        return new() { K = call.Dialect.K, Candidate = candidate, Expert = Requests(call, numbers, candidate), Rankings = rankings };
    }

    /// <summary>The best expert, then the best of the others, and so on.</summary>
    /// <param name="isOut">[E] room: experts that cannot win again.</param>
    /// <param name="row">[E] room: what the choice at hand is ranked by.</param>
    /// <param name="chosen">[k], an expert each, −1 where none can be had.</param>
    static void ChooseToken(RouterCall call, int token, List<Ranking> rankings, bool[] isOut, double[] row, Span<int> chosen)
    {
        var d = call.Dialect;
        var hasLater = rankings.Count > 1;
        var zeroesTaken = d.Taken == Taken.Zeroed && !hasLater;
        var removesTaken = d.Taken == Taken.Removed || hasLater;
        var skipsFirst = SkipsFirst(call, token);
        Array.Clear(isOut);
        for (var j = 0; j < chosen.Length; j++)
        {
            rankings[Math.Min(j, rankings.Count - 1)].Row(token).CopyTo(row);
            if (zeroesTaken)
                for (var i = skipsFirst ? 1 : 0; i < j; i++) row[chosen[i]] = 0;
            var best = Ranking.Best(row, isOut, d.Ties);
            if (best < 0 && hasLater) best = 0;                // every logit is −∞ there: the first wins again
            chosen[j] = best;
            var isFree = skipsFirst && j == 0;
            if (removesTaken && best >= 0 && !isFree) isOut[best] = true;
        }
    }

    /// <summary>A token whose mask is between 0 and 1 makes no first choice, so that its best expert is left for the second.</summary>
    static bool SkipsFirst(RouterCall call, int token) =>
        call.Dialect.Padding == PaddingRule.Skipped
        && call.TokenMask.Length > 0
        && call.TokenMask[token] is > 0 and < 1;

    /// <summary>What the first and the later choices are ranked by: the same numbers, or for a sampled or logit-ranked second others.</summary>
    static List<Ranking> Rankings(RouterCall call, RouterNumbers numbers)
    {
        var d = call.Dialect;
        var first = First(call, numbers);
        if (d.K < 2) return [first];
        if (d.Policy == Policy.Sample) return [first, Disturbed(numbers.Logits, call.Draws.GumbelOf, 1, call.Experts)];
        if (d.LaterBy is not { } later || later == d.SelectBy) return [first];
        return [first, Ranking.Of(later == SelectBy.Logits ? numbers.Logits : numbers.Scores, call.Experts)];
    }

    /// <summary>Scores or logits; with sampling noise, bias and group mask where the dialect has them.</summary>
    internal static Ranking First(RouterCall call, RouterNumbers numbers)
    {
        var d = call.Dialect;
        if (d.RouterPolicy == RouterPolicy.Sample && d.Temperature > 0 && !d.JitterAlone)
        {
            double Gumbel(int i) => -ReproducibleMath.Log(-ReproducibleMath.Log(Math.Max(1e-9, call.Draws.Sample![i])));
            return Disturbed(numbers.Logits, Gumbel, d.Temperature, call.Experts);
        }
        if (d.RouterPolicy == RouterPolicy.GumbelLogits && call.Is(d.RouterPolicyPhase)) return Disturbed(numbers.Logits, call.Draws.GumbelOf, 1, call.Experts);
        var ranked = d.SelectBy == SelectBy.Logits ? numbers.Noisy : numbers.Scores;
        if (d.Padding == PaddingRule.ScoresZeroed) ranked = WithoutPadding(call, ranked);
        if (numbers.CorrectionBias.Length > 0 || numbers.ImageBias.Length > 0) ranked = Biased(call, ranked, numbers);
        return d.Groups > d.GroupsKept ? GroupLimit.Apply(call, Ranking.Of(ranked, call.Experts)) : Ranking.Of(ranked, call.Experts);
    }

    /// <summary>s + b, added in float32 as every library does.</summary>
    static Numbers Biased(RouterCall call, Numbers scores, RouterNumbers numbers)
    {
        double[] values = new double[scores.Values.Length], errors = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            var bias = numbers.BiasOf(call, i / call.Experts);
            values[i] = (float)(scores.Values[i] + (bias.Length > 0 ? bias[i % call.Experts] : 0));
            errors[i] = scores.Errors[i] == 0 ? 0 : scores.Errors[i] + Rounding.HalfUnit(NumberFormat.Float32, values[i]);
        }
        return new(values, errors);
    }

    static Numbers WithoutPadding(RouterCall call, Numbers scores)
    {
        var values = (double[])scores.Values.Clone();
        for (var i = 0; i < values.Length; i++)
            if (!call.IsReal(i / call.Experts)) values[i] = 0;
        return new(values, scores.Errors);
    }

    /// <summary>l + scale·noise. The noise passes through two logarithms in float32, hence its error.</summary>
    internal static Ranking Disturbed(Numbers logits, Func<int, double> noise, double scale, int experts)
    {
        double[] values = new double[logits.Values.Length], errors = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            var drawn = scale * noise(i);
            values[i] = logits.Values[i] + drawn;
            errors[i] = logits.Errors[i] + 8 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(drawn) + scale + Math.Abs(logits.Values[i]));
        }
        return new(values, errors, experts);
    }

    /// <summary>Which candidates become requests: padding and the policy take some away.</summary>
    static int[] Requests(RouterCall call, RouterNumbers numbers, int[] candidate)
    {
        var d = call.Dialect;
        var expert = (int[])candidate.Clone();
        var policy = d.Policy;
        for (var t = 0; t < call.Tokens; t++)
        {
            var weight = call.TokenMask.Length == 0 ? 1 : call.TokenMask[t];
            for (var j = 0; j < d.K; j++)
            {
                var i = t * d.K + j;
                if (d.Padding == PaddingRule.Skipped && !(weight == 1 || weight > 0 && j > 0)) expert[i] = -1;
                if (d.CapacityFormula == CapacityFormula.UnlessZero && d.Capacity == 0) expert[i] = -1;
                if (j > 0 && !PolicyTest.Uses(call, numbers, candidate, t, j, policy)) expert[i] = -1;
            }
        }
        return expert;
    }
}
