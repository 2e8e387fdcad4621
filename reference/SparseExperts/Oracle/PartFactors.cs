using System.Globalization;

namespace SparseExperts.Oracle;

/// <summary>
/// Numbers that are right but for a factor, or a sum, that each expert, each token or each column has of its own: a scale, a norm or a bias that the file does
/// not hold, or another divisor.
/// </summary>
static class PartFactors
{
    /// <summary>Numbers that speak for a rule beyond those that it takes to fit it.</summary>
    const int Telling = 8;

    /// <param name="Word">One of the parts, as sentences have it.</param>
    /// <param name="Of">The part of a number.</param>
    /// <param name="Why">What gives a part a factor of its own.</param>
    sealed record Parts(string Word, Func<int, int> Of, string Why);

    public static Cause? Find(Case held, string stage, Departure of)
    {
        if (of.Unordered > 1 || of.Bounds.All(b => b == 0)) return null;
        // No factor and no sum makes NaN or infinity of a number.
        if (of.Places.Any(i => !double.IsFinite(of.Claimed[i]) || !double.IsFinite(of.Expected[i]))) return null;
        foreach (var parts in PartsOf(held, stage, of.Claimed.Length))
            if (Factors(stage, parts, of) is { } factor) return factor;
        if (stage != "logits") return null;
        var experts = PartsOf(held, stage, of.Claimed.Length).First();
        return Sums(experts, of);
    }

    /// <summary>How the numbers of a stage can be divided; the fewest parts first.</summary>
    static IEnumerable<Parts> PartsOf(Case held, string stage, int count)
    {
        var rows = held.Find("x") ?? held.Get("claim.logits");
        var width = (int)(count / (rows.Shape[0] * rows.Shape[1]));
        switch (stage)
        {
            case "gate" when held.Find("claim.expert") is { } expert && expert.Values.Length == count:
                yield return new("expert", i => (int)expert.Values[i], "a scale of each expert that the file lacks, or that is left out");
                if (width > 1) yield return new("token", i => i / width, "they stand in the right ratio, and were divided by something else");
                break;
            case "combine":
                yield return new("expert", i => i % width, "a scale of each expert that the file lacks, or that is left out");
                yield return new("token", i => i / width, "they stand in the right ratio, and were divided by something else");
                break;
            case "logits":
                yield return new("expert", i => i % width, "a scale of each row of the router");
                yield return new("token", i => i / width, "the router read tokens of another length: a norm is missing, or there is one too many");
                break;
            case "y":
                yield return new("column", i => i % width, "a scale or a norm's weight behind the experts");
                yield return new("token", i => i / width, "its gates have another sum, or its output was normed");
                break;
        }
    }

    static Cause? Factors(string stage, Parts parts, Departure of)
    {
        var groups = Grouped(parts, of).ToArray();
        var factors = new Dictionary<int, double>();
        foreach (var group in groups)
        {
            double square = group.Sum(i => of.Expected[i] * of.Expected[i]), product = group.Sum(i => of.Expected[i] * of.Claimed[i]);
            factors[parts.Of(group[0])] = square == 0 ? 1 : product / square;
        }
        double Factor(int i) => factors[parts.Of(i)];
        // The factor itself is known to within what the largest number of its part may be off by.
        var slack = groups.ToDictionary(g => parts.Of(g[0]), g => g.Max(i => Relative(of, i, Factor(i))));
        bool Is(int i)
        {
            var value = Factor(i) * of.Expected[i];
            return Math.Abs(of.Claimed[i] - value) <= Math.Abs(value) * slack[parts.Of(i)] + Math.Abs(Factor(i)) * of.Bounds[i] + of.HalfUnit(value);
        }
        if (!Speaks(of, groups, Is)) return null;
        var places = of.Places.ToHashSet();
        return Named(stage, parts, groups.Length, groups.Where(g => g.Any(places.Contains)).ToDictionary(g => parts.Of(g[0]), g => factors[parts.Of(g[0])]));
    }

    /// <summary>What a fitted factor may be off by, in parts of itself, as far as its largest numbers tell.</summary>
    static double Relative(Departure of, int i, double factor)
    {
        var size = Math.Abs(of.Expected[i]);
        return size <= 8 * of.Bounds[i] ? 0 : (of.Bounds[i] + (factor == 0 ? 0 : of.HalfUnit(of.Claimed[i]) / Math.Abs(factor))) / size;
    }

    static Cause? Sums(Parts parts, Departure of)
    {
        var groups = Grouped(parts, of).ToArray();
        var sums = groups.ToDictionary(g => parts.Of(g[0]), g => g.Average(i => of.Claimed[i] - of.Expected[i]));
        var slack = groups.ToDictionary(g => parts.Of(g[0]), g => g.Max(i => of.Bounds[i]));
        bool Is(int i) => Math.Abs(of.Claimed[i] - of.Expected[i] - sums[parts.Of(i)]) <= slack[parts.Of(i)] + of.Bounds[i] + of.HalfUnit(of.Claimed[i]);
        return !Speaks(of, groups, Is) ? null : new("logits", "plus a number of each expert",
            $"each expert's logits have a number of its own added ({Range(sums.Values)}): a bias that the file lacks, or that is left out")
        { IsPattern = true };
    }

    /// <summary>
    /// Whether every number follows the rule, enough of them could have failed to, and where a part departs, most of its numbers do: a number that rounding
    /// leaves much room says nothing.
    /// </summary>
    static bool Speaks(Departure of, int[][] groups, Func<int, bool> isSo)
    {
        var places = of.Places.ToHashSet();
        int[][] telling = [.. groups.Select(g => g.Where(i => Math.Abs(of.Expected[i]) > 8 * of.Bounds[i]).ToArray())];
        var departs = groups.Zip(telling).Where(g => g.First.Any(places.Contains)).All(g => 2 * g.Second.Count(places.Contains) > g.Second.Length);
        return groups.Length > 1 && departs && telling.Sum(g => Math.Max(0, g.Length - 1)) >= Telling && groups.SelectMany(g => g).All(isSo);
    }

    static IEnumerable<int[]> Grouped(Parts parts, Departure of) => Enumerable.Range(0, of.Claimed.Length)
        .Where(i => of.Counts(i) && double.IsFinite(of.Claimed[i]) && double.IsFinite(of.Expected[i]) && (of.Expected[i] != 0 || of.Claimed[i] != 0))
        .GroupBy(parts.Of).Select(g => g.ToArray());

    /// <param name="count">Parts in all.</param>
    /// <param name="factors">Of the parts that depart.</param>
    static Cause Named(string stage, Parts parts, int count, Dictionary<int, double> factors)
    {
        var numbers = stage switch { "gate" or "combine" => "gates", "logits" => "logits", _ => "y" };
        if (factors.Count == 1)
        {
            var one = factors.Keys.Single();
            var (part, times) = ($"{parts.Word} {one.ToString(CultureInfo.InvariantCulture)}", $"{Multiples.Text(factors[one])} times");
            var alone = numbers == "y" ? $"y of {part} alone is" : $"the {numbers} of {part} alone are";
            return new(stage, $"{part} {times}", $"{alone} {times} what should be") { IsPattern = true };
        }
        var (have, range) = (numbers == "y" ? "has" : "have", Range(factors.Values));
        var whose = factors.Count == count ? $"each {parts.Word}'s {numbers}"
            : string.Create(CultureInfo.InvariantCulture, $"of each of {factors.Count} {parts.Word}s (of {count}) the {numbers}");
        var sentence = $"{whose} {have} a factor of its own ({range}): {parts.Why}";
        return new(stage, $"a factor of each {parts.Word}", sentence) { IsPattern = true };
    }

    static string Range(IEnumerable<double> values) => $"{Multiples.Text(values.Min())} to {Multiples.Text(values.Max())}";
}
