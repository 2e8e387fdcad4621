using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Tokens in slots where experts choose, by a rule that is wrong in one point.</summary>
static class ChosenTokens
{
    public static IEnumerable<FaultyNumbers> Of(ClaimedCall c)
    {
        if (c.Expected.Rankings is not [{ } ranking] || ranking.Columns != c.Call.Size || ranking.Rows != c.Call.Groups * c.Call.Experts) yield break;
        var (right, rows) = (c.Expected.Token, ranking.Rows);
        var capacity = right.Length / rows;
        FaultyNumbers New(string value, string sentence, Func<int, IEnumerable<int>> ofRow) =>
            new(new("tokens in slots", value, sentence), () => [.. Enumerable.Range(0, rows).SelectMany(ofRow)]);
        IEnumerable<int> Row(int r) => right.Skip(r * capacity).Take(capacity);
        int[] Best(int r, double sign, int skip = 0)
        {
            var best = Ranking.Top(Array.ConvertAll(ranking.Row(r).ToArray(), v => sign * v), capacity + skip, c.Call.Dialect.Ties);
            return [.. best.Skip(skip).Concat(Enumerable.Repeat(-1, capacity)).Take(capacity)];
        }
        yield return New("worst first", "the priority is reversed: experts take the tokens with the smallest numbers", r => Best(r, -1));
        yield return New("in token order", "the tokens of an expert stand in their own order and not best first", r => Row(r).Order());
        yield return New("reversed", "the tokens of an expert stand in reverse order", r => Row(r).Reverse());
        yield return New("from the second", "each expert's best token is left out", r => Best(r, 1, 1));
        yield return New("one too few", "the comparison with the capacity is off by one: the last slot stays empty",
            r => Row(r).Select((t, s) => s == capacity - 1 ? -1 : t));
        var experts = c.Call.Experts;
        foreach (var (value, words, from) in ExpertOrders.Of(experts)) yield return New(value, words, r => Row(r / experts * experts + from(r % experts)));
        if (c.Call.Groups > 1)
            yield return New("of the next group", "groups are exchanged: each has the tokens of the next", r => Row((r + experts) % rows));
    }
}
