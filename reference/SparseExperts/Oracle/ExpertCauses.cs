using System.Globalization;
using SparseExperts.Formats;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>From experts that depart to how they were chosen instead.</summary>
static class ExpertCauses
{
    public static FoundCauses Find(Case held, Departure of, Func<IBackend> backend)
    {
        var direct = Stage.On(held, backend, call => call.Choices.K == call.Expected.K && !call.Expected.ByExperts ? Direct(call, of) : FoundCauses.None);
        var calls = FoundCauses.Among(held, [.. Biases(held), .. Roundings(held, backend)], faulty => Stage.Agrees(faulty, "expert", of, backend));
        return direct.And(calls);
    }

    static FoundCauses Direct(ClaimedCall c, Departure of)
    {
        var found = FoundCauses.Among(of, Of(c, of));
        if (found.Causes.Count == 0 && IndexInScore(c, of) is { } index) return new([index]);
        return found;
    }

    /// <summary>One expert everywhere: nobody wrote the buffer.</summary>
    public static Cause? Constant(Departure of)
    {
        var only = of.Claimed[0];
        if (of.Claimed.Length < 4 || of.Claimed.Any(e => e != only) || of.Expected.Distinct().Count() < 2) return null;
        var expert = Multiples.Text(only);
        return only < 0
            ? new("experts", "none", "no token has an expert: the buffer was never written")
            : new("experts", expert, $"every choice of every token is expert {expert}: the buffer was never written");
    }

    /// <summary>Choices that follow from the right ranking in another way.</summary>
    static IEnumerable<FaultyNumbers> Of(ClaimedCall c, Departure of)
    {
        var (call, k, e) = (c.Call, c.Expected.K, c.Call.Experts);
        int[] right = c.Expected.Expert;
        FaultyNumbers New(string value, string sentence, Func<int[]?> compute) => new(new("experts", value, sentence), compute);
        int[] Rows(Func<int, IEnumerable<int>> of) => [.. Enumerable.Range(0, call.Tokens).SelectMany(of)];
        IEnumerable<int> Row(int t) => right.Skip(t * k).Take(k);
        if (k > 1)
        {
            yield return New("reversed", "the choices stand in reverse order: the worst first", () => Rows(t => Row(t).Reverse()));
            yield return New("by id", "the choices are sorted by their ids and not by their scores", () => Rows(t => Row(t).Order()));
            yield return New("the best again", "every choice is the token's best expert: what was chosen is not taken out",
                () => Rows(t => Enumerable.Repeat(Row(t).First(), k)));
        }
        foreach (var (value, words, from) in ExpertOrders.Of(e))
        {
            int[] place = new int[e];
            for (var i = 0; i < e; i++) place[from(i)] = i;
            yield return New(value, words, () => [.. right.Select(x => x < 0 ? x : place[x])]);
        }
        foreach (var ranks in (int[])[2, 4, 8, 16])
            if (e % ranks == 0 && e > ranks)
                yield return New($"local ids of {ranks} ranks", $"experts have the ids that they have on their rank, of {ranks}",
                    () => [.. right.Select(x => x < 0 ? x : x % (e / ranks))]);
        foreach (var order in OtherTokens.Orders(call.Groups, call.Size))
            yield return new(new("tokens", order.Value, $"each token has the experts of {order.Words}"),
                () => Rows(t => Row(order.From(t) ?? t)));
        if (c.Expected.Rankings is not [{ } ranking] || ranking.Columns != e || ranking.Rows != call.Tokens) yield break;
        int[] Best(int t, Func<double, double> key, int skip = 0) =>
            Ranking.Top(Array.ConvertAll(ranking.Row(t).ToArray(), v => key(v)), k + skip, call.Dialect.Ties)[skip..];
        IEnumerable<int> Chosen(int t, int[] instead) => instead.Select((x, j) => right[t * k + j] < 0 ? -1 : x);
        yield return New("the smallest", "the smallest are chosen and not the largest",
            () => Rows(t => Chosen(t, Best(t, v => double.IsInfinity(v) ? v : -v))));
        if (e > k) yield return New("from the second", "the best expert is left out: the choices are the second best to the one after the last",
            () => Rows(t => Chosen(t, Best(t, v => v, 1))));
        HashSet<int> claimed = [.. of.Claimed.Select(x => (int)x)];
        int[] missed = [.. right.Where(x => x >= 0 && !claimed.Contains(x)).Distinct().Order()], unseen = [.. Enumerable.Range(0, e).Except(claimed)];
        foreach (var never in missed.Length == unseen.Length ? [missed] : (int[][])[missed, unseen])
        {
            if (missed.Length == 0 || e - never.Length < k) continue;
            var names = $"{(never.Length == 1 ? "expert" : "experts")} {string.Join(", ", never)} {(never.Length == 1 ? "is" : "are")}";
            double Seen(int t, int x) => never.Contains(x) ? double.NegativeInfinity : ranking.Row(t)[x];
            yield return New($"never {string.Join(", ", never)}", $"{names} never chosen, as if there were only the others",
                () => Rows(t => Chosen(t, Ranking.Top([.. Enumerable.Range(0, e).Select(x => Seen(t, x))], k, call.Dialect.Ties))));
        }
        yield return New("by size", "experts are ranked by the size of their scores, whatever the sign", () => Rows(t => Chosen(t, Best(t, Math.Abs))));
        var logits = c.Decided.Numbers.Noisy.Values;
        if (logits.Length == call.Tokens * e)
            yield return New("by size of logits", "experts are ranked by the size of their logits, whatever the sign",
                () => Rows(t => Chosen(t, Ranking.Top([.. logits.AsSpan(t * e, e).ToArray().Select(Math.Abs)], k, call.Dialect.Ties))));
        bool IsNegative(int t) => Enumerable.Range(t * e, e).All(i => logits[i] < 0);
        var negative = Enumerable.Range(0, call.Tokens).Count(IsNegative);
        if (negative > 0 && negative < call.Tokens)
            yield return New("the smallest where all are negative",
                $"the {negative} departing tokens are those whose logits are all negative; they took the smallest",
                () => Rows(t => IsNegative(t) ? Chosen(t, Best(t, v => double.IsInfinity(v) ? v : -v)) : Row(t)));
        foreach (var fault in OfGroups(c)) yield return fault;
    }

    /// <summary>Groups of experts that are ranked or cut otherwise.</summary>
    static IEnumerable<FaultyNumbers> OfGroups(ClaimedCall c)
    {
        var (call, d, k, e) = (c.Call, c.Call.Dialect, c.Expected.K, c.Call.Experts);
        if (d.Groups <= d.GroupsKept || d.SelectBy != SelectBy.Scores || d.BiasOfImages) yield break;
        var (scores, bias, each) = (c.Decided.Numbers.Scores.Values, c.Decided.Numbers.CorrectionBias, e / d.Groups);
        double Biased(int t, int x) => (float)(scores[t * e + x] + (bias.Length > 0 ? bias[x] : 0));
        double Plain(int t, int x) => scores[t * e + x];
        FaultyNumbers New(string value, string sentence, Func<int, int, double> ofGroups, Func<int, int, double> ofExperts, Func<int, int>? groupOf = null,
            bool worst = false) =>
            new(new("groups of experts", value, sentence), () =>
            {
                var chosen = new int[call.Tokens * k];
                for (var t = 0; t < call.Tokens; t++)
                {
                    var token = t;
                    int Group(int x) => groupOf?.Invoke(x) ?? x / each;
                    double[] OfGroup(int g) => [.. Enumerable.Range(0, e).Where(x => Group(x) == g).Select(x => ofGroups(token, x)).OrderDescending()];
                    float Sum(int g) => OfGroup(g).Take(Math.Max(1, d.GroupScore.Count)).Aggregate(0f, (sum, v) => sum + (float)v);
                    double[] sums = [.. Enumerable.Range(0, d.Groups).Select(g => (double)Sum(g))];
                    var kept = Ranking.Top(worst ? Array.ConvertAll(sums, s => -s) : sums, d.GroupsKept, d.Ties);
                    var masked = d.GroupMask == GroupMask.Zero ? 0 : double.NegativeInfinity;
                    double[] row = [.. Enumerable.Range(0, e).Select(x => kept.Contains(Group(x)) ? ofExperts(token, x) : masked)];
                    Ranking.Top(row, k, d.Ties).CopyTo(chosen, t * k);
                }
                return chosen;
            });
        yield return New("interleaved", "groups of experts are every n-th expert and not neighbours", Biased, Biased, x => x % d.Groups);
        yield return New("the worst", "the groups with the smallest scores are kept", Biased, Biased, worst: true);
        if (bias.Length == 0) yield break;
        yield return New("without the bias", "groups of experts are ranked by scores without the correction bias", Plain, Biased);
        yield return New("with the bias alone", "the correction bias ranks the groups of experts, but not the experts in them", Biased, Plain);
    }

    /// <summary>Ties broken by taking a multiple of the index off the scores, which reorders scores that are not equal.</summary>
    static Cause? IndexInScore(ClaimedCall c, Departure of)
    {
        if (c.Expected.Rankings is not [{ } ranking] || ranking.Columns != c.Call.Experts) return null;
        var k = c.Expected.K;
        double least = double.NegativeInfinity, most = double.PositiveInfinity, largest = 0;
        var chosen = new HashSet<int>();
        for (var t = 0; t < c.Call.Tokens; t++)
        {
            chosen.Clear();
            if (of.Unordered > 1) chosen.UnionWith(of.Claimed.Skip(t * k).Take(k).Select(e => (int)e));
            var row = ranking.Row(t);
            for (var j = 0; j < k; j++)
            {
                if ((int)of.Claimed[t * k + j] is not (>= 0 and var e) || e >= row.Length) return null;
                chosen.Add(e);
                for (var other = 0; other < row.Length; other++)
                {
                    if (chosen.Contains(other)) continue;
                    // score(e) − c·e ≥ score(other) − c·other.
                    var (lead, gap, slack) = (row[other] - row[e], other - e, ranking.Error(t, e) + ranking.Error(t, other));
                    if (double.IsInfinity(lead)) continue;
                    if (gap > 0) least = Math.Max(least, (lead - slack) / gap);
                    else most = Math.Min(most, (lead + slack) / gap);
                    if (lead > slack) largest = Math.Max(largest, lead);
                }
            }
        }
        if (least > most || largest == 0 || least <= 0 && most >= 0) return null;
        var to = (least > 0 ? "lower" : "higher", largest.ToString("G2", CultureInfo.InvariantCulture));
        var sentence = $"a higher score lost to a lower one with a {to.Item1} index, by at most {to.Item2}: the tie rule has been put into the score";
        return new("ties", "index in the score", sentence);
    }

    /// <summary>The correction bias in other ways than it should be.</summary>
    static IEnumerable<FaultyCall> Biases(Case c)
    {
        if (c.Find("router.correction_bias") is not { } bias) yield break;
        FaultyCall New(string value, string sentence, Func<double, int, double> of, string? axis = null) =>
            new(new("correction_bias", value, sentence) { Axis = axis }, c.With(bias with { Values = [.. bias.Values.Select(of)] }));
        var experts = bias.Values.Length;
        if (c.Find("router.correction_bias.images") is { } ofImages)
        {
            FaultyCall Both(string value, string sentence, CaseTensor text, CaseTensor images) => new(new("bias_of_images", value, sentence),
                c.With(bias with { Values = text.Values }, ofImages with { Values = images.Values }));
            yield return Both("ignored", "images were chosen with the correction bias of text", bias, bias);
            yield return Both("for all", "text was chosen with the correction bias of images", ofImages, ofImages);
            yield return Both("exchanged", "the correction biases of text and images are exchanged", ofImages, bias);
        }
        foreach (var format in StoredFormat.Narrow)
            yield return New($"in {format.Name()}", $"the correction bias was rounded to {format.Word()}",
                (v, _) => Rounding.To(format, v));
        yield return New("ignored", "the correction bias is ignored in the choice", (_, _) => 0, "correction_bias");
        yield return New("subtracted", "the correction bias was subtracted: its sign is turned", (v, _) => -v);
        yield return New("twice", "the correction bias was added twice", (v, _) => 2 * v);
        yield return New("of the next expert", "each expert has the correction bias of the next", (_, i) => bias.Values[(i + 1) % experts]);
        yield return New("of the expert before", "each expert has the correction bias of the one before", (_, i) => bias.Values[(i + experts - 1) % experts]);
    }

    /// <summary>Choices among numbers that were rounded before they were ranked.</summary>
    static IEnumerable<FaultyCall> Roundings(Case held, Func<IBackend> backend)
    {
        if (held.Find("x") is not { } x || held.Dialect.Selection is Selection.HashTable or Selection.PlaceTable or Selection.TaskTable
            or Selection.Random) return [];
        List<FaultyCall> calls = [];
        Stage.On(held, backend, call =>
        {
            long[] shape = [x.Shape[0], x.Shape[1], call.Call.Experts];
            foreach (var (name, numbers) in ((string, Numbers)[])[("claim.logits", call.Decided.Numbers.Logits), ("claim.scores", call.Decided.Numbers.Scores)])
                foreach (var format in StoredFormat.Narrow)
                {
                    if (name == "claim.scores" && call.Call.Dialect.Score is Score.None or Score.SoftmaxPost) continue;
                    var what = name == "claim.logits" ? "logits" : "scores";
                    var rounded = new CaseTensor(name, "F32", shape, Array.ConvertAll(numbers.Values, v => Rounding.To(format, v)));
                    var without = name == "claim.logits" ? held.Without("router.weight", "claim.scores") : held;
                    calls.Add(new(new($"{what} in the choice", format.Name(),
                        $"the {what} were rounded to {format.Word()} before they were ranked"),
                        without.With(rounded)));
                }
            return FoundCauses.None;
        });
        return calls;
    }
}
