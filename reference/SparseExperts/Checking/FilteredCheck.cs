using System.Globalization;
using System.Text.RegularExpressions;
using SparseExperts.Formats;

namespace SparseExperts.Checking;

/// <summary>
/// Distributions after temperature, then top-k, then top-p, from recorded logits: <c>filtered.top_k5_p0.8_t0.7</c>. Where a cumulative share lies at its bound
/// within rounding, the token may stay or go.
/// </summary>
static partial class FilteredCheck
{
    const double Unit = 1.0 / 16777216;

    [GeneratedRegex(@"^filtered\.(?:top_k(?<k>\d+))?_?(?:(?:top_)?p(?<p>[\d.]+?))?_?(?:t(?<t>[\d.]+))?$")]
    private static partial Regex Settings();

    public static IEnumerable<BlockVerdict> Run(Recording recording)
    {
        if (recording.Find("filtered.logits") is not { } logits) yield break;
        foreach (var name in recording.Names.Where(n => n.StartsWith("filtered.", StringComparison.Ordinal) && n != logits.Name).Order(StringComparer.Ordinal))
        {
            if (Settings().Match(name) is not { Success: true } match)
                throw new InvalidFileException($"{recording.Path}: {name} says no temperature, top_k and top_p; name it as top_k5_p0.8_t0.7");
            double Number(string group, double otherwise) =>
                match.Groups[group].Success ? double.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture) : otherwise;
            var vocabulary = logits.Size(-1);
            var claim = recording.Sized(recording.Get(name), logits.Values.Length);
            List<(double[] P, double[] Errors)> rows = [];
            for (var start = 0; start < logits.Values.Length; start += vocabulary)
                rows.Add(Nearest(logits.Values.AsSpan(start, vocabulary).ToArray(), claim.Values.AsSpan(start, vocabulary).ToArray(),
                    Number("t", 1), (int)Number("k", 0), Number("p", 1)));
            yield return new(name, [ClaimVerdict.Of(claim, [.. rows.SelectMany(r => r.P)], [.. rows.SelectMany(r => r.Errors)])]);
        }
    }

    /// <summary>The distribution, with what the claim has kept of tokens that may stay or go.</summary>
    static (double[] P, double[] Errors) Nearest(double[] logits, double[] claim, double temperature, int k, double p)
    {
        double[] scaled = [.. logits.Select(l => l / temperature)];
        var kept = Enumerable.Repeat(true, scaled.Length).ToArray();
        if (k > 0 && k < scaled.Length)
        {
            // Equals of the k-th stay, as in transformers TopKLogitsWarper.
            var least = scaled.OrderDescending().ElementAt(k - 1);
            for (var i = 0; i < kept.Length; i++) kept[i] = scaled[i] >= least;
        }
        if (p < 1)
        {
            var own = Softmax(scaled, kept);
            // A token goes where all that are not above it sum up to at most 1 − p (TopPLogitsWarper); the best stays.
            // Of equals those that the claim has come last, for sorting leaves their order open.
            var order = Enumerable.Range(0, own.Length).Where(i => kept[i]).OrderBy(i => own[i]).ThenBy(i => claim[i]).ToArray();
            double sum = 0;
            for (var j = 0; j < order.Length - 1; j++)
            {
                sum += own[order[j]];
                var open = Math.Abs(sum - (1 - p)) <= 2 * own.Length * Unit;
                kept[order[j]] = open ? claim[order[j]] > 0 : sum > 1 - p;
            }
        }
        var result = Softmax(scaled, kept);
        var size = scaled.Max(Math.Abs);
        // Of a quotient by the temperature, the difference from the largest, the exponential, the sum and the division.
        return (result, [.. result.Select(r => r * (2 * size + 4 + FunctionUlps.Exp * 2 + scaled.Length) * Unit * 2)]);
    }

    static double[] Softmax(double[] x, bool[] kept)
    {
        var largest = x.Where((_, i) => kept[i]).Max();
        double[] e = [.. x.Select((v, i) => kept[i] ? ReproducibleMath.Exp(v - largest) : 0)];
        var sum = e.Sum();
        return [.. e.Select(v => v / sum)];
    }
}
