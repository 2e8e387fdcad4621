using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Whether claimed choices are choices that the dialect allows: each must be the best of what the ones before it leave, where equals are open
/// if the tie rule is, and where numbers that had to be recomputed are known only to within their error.
/// </summary>
static class SelectionCheck
{
    public static StageVerdict Experts(RouterCall call, RouterNumbers numbers, Choices expected, int[] claimed, int k)
    {
        Outcome outcome = Outcome.Agrees;
        Difference? first = null;
        var count = 0;
        for (var t = 0; t < call.Tokens; t++)
        {
            var (verdict, at, margin, bound) = Token(call, numbers, expected, t, claimed.AsSpan(t * k, k).ToArray());
            if (verdict == Outcome.Undecided && outcome == Outcome.Agrees) outcome = Outcome.Undecided;
            if (verdict != Outcome.Differs) continue;
            outcome = Outcome.Differs;
            count++;
            var i = t * k + at;
            first ??= new(i, claimed[i], k == expected.K ? expected.Expert[i] : -1, margin, bound, 0, claimed.Length);
        }
        return new("expert", outcome, first is null ? null : first with { Count = count });
    }

    /// <summary>Whether a token may have these experts, as far as its numbers are known.</summary>
    public static bool Allows(RouterCall call, RouterNumbers numbers, Choices expected, int token, int[] experts) =>
        Token(call, numbers, expected, token, experts).Outcome != Outcome.Differs;

    static (Outcome Outcome, int At, double Margin, double Bound) Token(RouterCall call, RouterNumbers numbers, Choices expected, int t, int[] row)
    {
        var d = call.Dialect;
        var k = row.Length;
        if (d.DroppedOutput == DroppedOutput.SharedSlot && !call.IsReal(t)) return (Outcome.Agrees, 0, 0, 0);
        if (k == expected.K && row.AsSpan().SequenceEqual(expected.Expert.AsSpan(t * k, k))) return (Outcome.Agrees, 0, 0, 0);
        if (k != expected.K) return (Outcome.Differs, 0, double.NaN, 0);
        var again = Array.FindIndex(row, 0, e => e >= 0 && Array.IndexOf(row, e) != Array.LastIndexOf(row, e)) is var one and >= 0
            ? Array.IndexOf(row, row[one], one + 1) : -1;
        if (again > 0 && d.Taken == Taken.Removed && d.Selection != Selection.ExhaustionAware) return (Outcome.Differs, again, double.NaN, 0);
        if (expected.Rankings.Count == 0) return (Outcome.Differs, FirstDifference(row, expected.Expert.AsSpan(t * k, k)), double.NaN, 0);
        var order = row;
        if (d.OpenOrder)
        {
            if (expected.Rankings.Count == 1 && row.Order().SequenceEqual(expected.Expert.AsSpan(t * k, k).ToArray().Order())) return (Outcome.Agrees, 0, 0, 0);
            double Value(int e) => e < 0 ? double.NegativeInfinity : expected.RankingOf(0).Row(t)[e];
            int BestFirst(int a, int b) => Value(a) != Value(b) ? Value(b).CompareTo(Value(a)) : a == b ? 0 : Ranking.Precedes(a, b, d.Ties) ? -1 : 1;
            order = [.. row.Order(Comparer<int>.Create(BestFirst))];
        }
        var result = Outcome.Agrees;
        var isOut = new bool[call.Experts];
        for (var j = 0; j < k; j++)
        {
            var ranking = expected.RankingOf(j);
            var e = order[j];
            var wanted = expected.Expert[t * k + j];
            if (e < 0 || wanted < 0)
            {
                if (e == wanted) continue;
                // Used or not: some policies decide by a margin, which rounding may explain.
                if (j == 0 || d.Policy is not (Policy.Threshold or Policy.Random or Policy.Entropy)) return (Outcome.Differs, j, double.NaN, 0);
                var (margin, error) = PolicyTest.Margin(call, numbers, expected.Candidate, t, j);
                if (Math.Abs(margin) > error) return (Outcome.Differs, j, margin, error);
                result = Outcome.Undecided;
                continue;
            }
            var values = ranking.Row(t).ToArray();
            for (var i = 0; i < j; i++)
                if (d.Taken == Taken.Zeroed && expected.Rankings.Count == 1 && order[i] >= 0) values[order[i]] = 0;
            var best = Ranking.Best(values, isOut, d.Ties);
            if (e != best)
            {
                var bound = ranking.Error(t, e) + ranking.Error(t, best);
                var margin = values[best] - values[e];
                if (!(margin <= bound) && !GroupsAreOpen(call, numbers, t)) return (Outcome.Differs, j, margin, bound);
                result = Outcome.Undecided;
            }
            // Of numbers that are equal as facts the rule names one, however little is known of the numbers themselves.
            if (d.Ties != TieRule.Unspecified && LosesTie(call, numbers, ranking, values, isOut, t, e)) return (Outcome.Differs, j, 0, 0);
            if (d.Taken == Taken.Removed || expected.Rankings.Count > 1) isOut[e] = true;
        }
        return (result, 0, 0, 0);
    }

    /// <summary>Whether another expert that is left has the same number as a fact, and comes first by the tie rule.</summary>
    static bool LosesTie(RouterCall call, RouterNumbers numbers, Ranking ranking, double[] values, bool[] isOut, int t, int e)
    {
        for (var other = 0; other < values.Length; other++)
            if (other != e && !isOut[other] && values[other] == values[e] && Ranking.Precedes(other, e, call.Dialect.Ties)
                && KnownTies.OfExperts(call, numbers, ranking, t, other, e)) return true;
        return false;
    }

    /// <summary>
    /// Experts that a token could have chosen as well: they tie with one of its own under an open rule, or lie nearer to it than is known of them.
    /// </summary>
    public static IEnumerable<int> Alternatives(RouterCall call, RouterNumbers numbers, Choices expected, int t)
    {
        var (d, k) = (call.Dialect, expected.K);
        if (expected.Rankings.Count == 0) yield break;
        var allAreOpen = GroupsAreOpen(call, numbers, t);
        for (var e = 0; e < call.Experts; e++)
        {
            if (expected.Candidate.AsSpan(t * k, k).Contains(e)) continue;
            if (allAreOpen || Enumerable.Range(0, k).Any(j => IsNear(expected.RankingOf(j), expected.Candidate[t * k + j], e))) yield return e;
        }

        bool IsNear(Ranking ranking, int own, int other) => own >= 0 && (KnownTies.OfExperts(call, numbers, ranking, t, own, other)
            ? d.Ties == TieRule.Unspecified
            : Math.Abs(ranking.Row(t)[own] - ranking.Row(t)[other]) <= ranking.Error(t, own) + ranking.Error(t, other));
    }

    /// <summary>Whether the last kept group ties with the first that is not.</summary>
    static bool GroupsAreOpen(RouterCall call, RouterNumbers numbers, int t)
    {
        var d = call.Dialect;
        if (d.Groups <= d.GroupsKept) return false;
        var flat = TopK.First(call with { Dialect = d with { Groups = 1, GroupsKept = 1 } }, numbers);
        var scores = GroupLimit.Scores(d, flat.Row(t), call.Experts / d.Groups);
        Array.Sort(scores, (a, b) => b.CompareTo(a));
        // Of groups that are known exactly an open tie rule alone leaves one open.
        var error = 4 * flat.Errors.AsSpan(t * call.Experts, call.Experts).ToArray().Max();
        return (error > 0 || d.Ties == TieRule.Unspecified) && scores[d.GroupsKept - 1] - scores[d.GroupsKept] <= error;
    }

    static int FirstDifference(ReadOnlySpan<int> a, ReadOnlySpan<int> b)
    {
        for (var i = 0; i < a.Length; i++)
            if (a[i] != b[i]) return i;
        return 0;
    }

    /// <summary>Tokens in slots: best first, or in token order, or in the auction's own order; equals may change places where ties are open.</summary>
    public static StageVerdict Tokens(RouterCall call, RouterNumbers numbers, Choices expected, int[] claimed)
    {
        if (claimed.AsSpan().SequenceEqual(expected.Token)) return new("token", Outcome.Agrees);
        var d = call.Dialect;
        var capacity = claimed.Length / (call.Groups * call.Experts);
        var outcome = Outcome.Agrees;
        var ofExperts = claimed.Chunk(Math.Max(1, capacity)).Zip(expected.Token.Chunk(Math.Max(1, capacity)));
        if (d.OpenOrder && claimed.Length == expected.Token.Length && ofExperts.All(p => p.First.Order().SequenceEqual(p.Second.Order())))
            return new("token", Outcome.Agrees);
        if (claimed.Length != expected.Token.Length) return new("token", Outcome.Differs, new(0, claimed.Length, expected.Token.Length, 0, 0, 1, 1));
        var ranking = expected.Rankings[0];
        for (var i = 0; i < claimed.Length; i++)
        {
            if (claimed[i] == expected.Token[i]) continue;
            var row = i / capacity;
            double Value(int t) => t < 0 ? double.NegativeInfinity : ranking.Row(row)[t];
            double Slack(int t) => t < 0 ? 0 : ranking.Error(row, t);
            double margin = Math.Abs(Value(claimed[i]) - Value(expected.Token[i])), bound = Slack(claimed[i]) + Slack(expected.Token[i]);
            var isPadding = claimed[i] >= 0 && !call.IsReal(row / call.Experts * call.Size + claimed[i]);
            var seats = claimed.AsSpan(row * capacity, capacity);
            var isTied = d.Ties != TieRule.Unspecified && !isPadding && LosesTie(call, numbers, ranking, seats, row, i % capacity);
            if (margin <= bound && !isTied && (bound > 0 || d.Ties == TieRule.Unspecified || isPadding)) { outcome = Outcome.Undecided; continue; }
            var wrong = Enumerable.Range(0, claimed.Length).Count(n => claimed[n] != expected.Token[n]);
            return new("token", Outcome.Differs, new(i, claimed[i], expected.Token[i], margin, bound, wrong, claimed.Length));
        }
        return new("token", outcome);
    }

    /// <summary>Whether a token that has the same number as a fact, and comes first by the tie rule, stands behind this one or nowhere.</summary>
    static bool LosesTie(RouterCall call, RouterNumbers numbers, Ranking columns, ReadOnlySpan<int> tokens, int row, int slot)
    {
        var token = tokens[slot];
        var ahead = call.Dialect.SlotOrder == SlotOrder.Descending ? tokens[..slot] : tokens;
        for (var other = 0; other < call.Size && token >= 0; other++)
            if (other != token && Ranking.Precedes(other, token, call.Dialect.Ties) && !ahead.Contains(other)
                && KnownTies.OfTokens(call, numbers, columns, row, other, token)) return true;
        return false;
    }

    /// <summary>Whether the balance loss takes a top-k of its own that ties leave open: wherever one does, it is torch.topk.</summary>
    public static bool HasOpenTopK(RouterCall call, RouterNumbers numbers) => OpenTopK(call, numbers).Any(t => t.Tied.Length > t.Open);

    /// <summary>That top-k with open places given to the experts that weigh most: the choice under which Σ weight is largest.</summary>
    /// <param name="weights">[T, E].</param>
    public static IReadOnlyList<(int Token, int Expert)> TopKFavouring(RouterCall call, RouterNumbers numbers, double[] weights) =>
    [
        .. from t in OpenTopK(call, numbers)
           from e in t.Sure.Concat(t.Tied.OrderByDescending(e => weights[t.Token * call.Experts + e]).Take(t.Open))
           select (t.Token, e),
    ];

    /// <summary>Of every token that counts, the experts that are surely among the k best, those that tie for the rest, and how many places that is.</summary>
    static IEnumerable<(int Token, int[] Sure, int[] Tied, int Open)> OpenTopK(RouterCall call, RouterNumbers numbers)
    {
        var d = call.Dialect;
        if (d.Balance == BalanceLoss.None || d.BalanceCount != BalanceCount.FreshTopK) yield break;
        double[][] all =
            [numbers.Logits.Values, .. call.IsNoisy ? [] : new[] { numbers.Scores.Values }, Softmax(numbers.Logits.Values, call.Experts, call.LogitsFormat)];
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!LossCounts.Includes(call, t)) continue;
            // By logits, by scores, by their softmax in the logits' format: a library may rank any of them, and equals in one may not be in another.
            bool[] isAbove = new bool[call.Experts], isTied = new bool[call.Experts];
            Array.Fill(isAbove, true);
            foreach (var scores in all)
            {
                var row = scores.AsSpan(t * call.Experts, call.Experts);
                var last = row[Ranking.Top(row, d.K, TieRule.Lowest)[^1]];
                for (var e = 0; e < row.Length; e++)
                {
                    var step = SoftmaxStep(Math.Min(row[e], last), scores == numbers.Logits.Values);
                    isAbove[e] &= row[e] > last + step;
                    isTied[e] |= Math.Abs(row[e] - last) <= step;
                }
            }
            int[] sure = [.. Enumerable.Range(0, call.Experts).Where(e => isAbove[e])];
            int[] tied = [.. Enumerable.Range(0, call.Experts).Where(e => isTied[e] && !isAbove[e])];
            yield return (t, sure, tied, Math.Min(d.K, call.Experts) - sure.Length);
        }
    }

    /// <summary>Softmax of every row, as its format keeps it: small values become 0 and tie, and in a narrow format neighbours do.</summary>
    static double[] Softmax(double[] logits, int experts, NumberFormat format)
    {
        var values = new double[logits.Length];
        for (var start = 0; start < logits.Length; start += experts)
        {
            var max = double.NegativeInfinity;
            for (var e = 0; e < experts; e++) max = Math.Max(max, logits[start + e]);
            double sum = 0;
            for (var e = 0; e < experts; e++) sum += values[start + e] = ReproducibleMath.Exp(logits[start + e] - max);
            var kept = format == NumberFormat.Float64 ? NumberFormat.Float32 : format;
            for (var e = 0; e < experts; e++) values[start + e] = Rounding.To(kept, values[start + e] / sum);
        }
        return values;
    }

    /// <summary>Logits that are nearly equal can be equal after a softmax in float32.</summary>
    static double SoftmaxStep(double value, bool isLogit) =>
        4 * Rounding.HalfUnit(NumberFormat.Float32, isLogit ? Math.Max(1, Math.Abs(value)) : Math.Abs(value));
}
