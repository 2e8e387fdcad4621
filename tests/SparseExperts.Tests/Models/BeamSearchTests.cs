using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

public sealed class BeamSearchTests
{
    const int Start = 0, End = 1, Vocabulary = 4, Most = 4;

    /// <summary>A table of log-probabilities that the last token and the length decide.</summary>
    static IReadOnlyList<double[]> Next(IReadOnlyList<int[]> prefixes, ulong seed) =>
        [.. prefixes.Select(prefix => Row(seed, prefix[^1], prefix.Length))];

    static double[] Row(ulong seed, int last, int length)
    {
        var stream = new Streams(seed).Named($"{last} {length}");
        double[] weights = [.. Enumerable.Range(0, Vocabulary).Select(i => 0.05 + Philox.UniformDouble(stream, (ulong)i))];
        return [.. weights.Select(w => Math.Log(w / weights.Sum()))];
    }

    /// <summary>Every text, its end at the end token or at the last place.</summary>
    static IEnumerable<Beam> All(ulong seed, double penalty) =>
        from tokens in Texts([Start])
        let sum = Enumerable.Range(1, tokens.Length - 1).Sum(i => Row(seed, tokens[i - 1], i)[tokens[i]])
        select new Beam(tokens[1..], sum / Math.Pow(tokens.Length - 1, penalty));

    static IEnumerable<int[]> Texts(int[] prefix)
    {
        foreach (var token in Enumerable.Range(0, Vocabulary))
        {
            int[] longer = [.. prefix, token];
            if (token == End || longer.Length == Most + 1) yield return longer;
            else
                foreach (var text in Texts(longer)) yield return text;
        }
    }

    /// <summary>With room for all prefixes nothing is cut off, so the best texts of all are found.</summary>
    [Theory]
    [InlineData(1, 0.0)]
    [InlineData(2, 0.6)]
    [InlineData(3, 1.0)]
    [InlineData(4, 2.0)]
    public void With_beams_for_all_prefixes_it_finds_the_best_texts(ulong seed, double penalty)
    {
        var best = All(seed, penalty).OrderByDescending(b => b.Score).Take(5).ToArray();
        var found = BeamSearch.Run(Start, End, Most, new(256, penalty), prefixes => Next(prefixes, seed));
        for (var i = 0; i < best.Length; i++)
        {
            Assert.Equal(best[i].Tokens, found[i].Tokens);
            Assert.Equal(best[i].Score, found[i].Score, 12);
        }
    }

    [Fact]
    public void One_beam_is_the_likeliest_token_each_time()
    {
        var prefix = new List<int> { Start };
        while (prefix.Count <= Most && (prefix.Count == 1 || prefix[^1] != End))
        {
            var row = Row(7, prefix[^1], prefix.Count);
            prefix.Add(Array.IndexOf(row, row.Max()));
        }
        var found = BeamSearch.Run(Start, End, Most, new(1, EarlyStopping: true), prefixes => Next(prefixes, 7));
        Assert.Equal(prefix.Skip(1), found.Single().Tokens);
    }

    [Fact]
    public void Results_are_ended_texts_best_first()
    {
        for (var seed = 0UL; seed < 20; seed++)
        {
            var found = BeamSearch.Run(Start, End, Most, new(3, 0.8), prefixes => Next(prefixes, seed));
            Assert.Equal(found.OrderByDescending(b => b.Score), found);
            Assert.All(found, b => Assert.True(b.Tokens[^1] == End || b.Tokens.Length == Most));
            Assert.All(found, b => Assert.DoesNotContain(End, b.Tokens[..^1]));
            Assert.Equal(found.Count, found.Select(b => string.Join(' ', b.Tokens)).Distinct().Count());
        }
    }

    /// <summary>Ending at once is worth 0.6 each way; going on would be worth more by a penalty of 1, but nothing may come after the first that end.</summary>
    [Fact]
    public void Early_stopping_takes_the_first_texts_that_end()
    {
        static IReadOnlyList<double[]> Step(IReadOnlyList<int[]> prefixes) =>
            [.. prefixes.Select(p => p.Length == 1 ? (double[])[-9, Math.Log(0.4), Math.Log(0.6), -9] : [-9, p.Length < 4 ? -2 : -0.01, -0.01, -9])];
        var early = BeamSearch.Run(Start, End, 6, new(1, 1, true), Step);
        var late = BeamSearch.Run(Start, End, 6, new(2, 1, true), Step);
        Assert.Single(early);
        Assert.Equal([End], late.Single(b => b.Tokens.Length == 1).Tokens);
        Assert.True(BeamSearch.Run(Start, End, 6, new(2), Step)[0].Score >= late[0].Score);
    }
}
