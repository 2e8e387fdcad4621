using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Whether logits that depart are the tokens times another matrix than the file's. With more tokens than numbers in one, no matrix gives all of them by
/// accident: then the router read what the file holds and another weight, or its input went through a matrix first, as into a latent space.
/// </summary>
static class OtherMatrix
{
    /// <summary>Equations more than unknowns for each expert, and the most that is spent on solving them.</summary>
    const int Spare = 4;
    const long Most = 200_000_000;

    public static string? Of(Case held, Departure of)
    {
        var d = held.Dialect;
        if (held.Find("x") is not { } x || held.Find("router.weight") is not { Shape.Length: 2 } weight) return null;
        if (d is not { Router: RouterForm.Linear, RouterBias: false, RouterNorm: false, LogitsSoftcap: 0 } || held.Has("router.bias")) return null;
        int width = weight.Size(1), experts = weight.Size(0), tokens = x.Values.Length / Math.Max(1, width);
        if (tokens < width + Spare || of.Claimed.Length != tokens * experts || (long)tokens * width * (width + experts) > Most) return null;
        if (x.Values.Any(v => !double.IsFinite(v)) || of.Claimed.Any(v => !double.IsFinite(v)) || 10 * of.Places.Count() < 9 * of.Claimed.Length) return null;
        if (Solve(x.Values, of.Claimed, tokens, width, experts) is not { } other) return null;
        for (var t = 0; t < tokens; t++)
            for (var e = 0; e < experts; e++)
            {
                double sum = 0, sizes = 0;
                for (var m = 0; m < width; m++)
                {
                    var term = x.Values[t * width + m] * other[m * experts + e];
                    (sum, sizes) = (sum + term, sizes + Math.Abs(term));
                }
                // Two products one after the other, each in any order.
                if (!(Math.Abs(sum - of.Claimed[t * experts + e]) <= 8 * of.HalfUnit(sizes))) return null;
            }
        return $"all {of.Claimed.Length} claimed logits are x times one other matrix than router.weight: was another weight read, "
            + "or did x go through a projection before the router, as into a latent space?";
    }

    /// <summary>The [width, experts] matrix nearest to x·W = logits, by reflections; null where x does not determine it.</summary>
    static double[]? Solve(double[] x, double[] logits, int tokens, int width, int experts)
    {
        var columns = width + experts;
        var all = new double[tokens * columns];
        for (var t = 0; t < tokens; t++)
        {
            x.AsSpan(t * width, width).CopyTo(all.AsSpan(t * columns));
            logits.AsSpan(t * experts, experts).CopyTo(all.AsSpan(t * columns + width));
        }
        double largest = 0;
        for (var c = 0; c < width; c++)
        {
            double square = 0;
            for (var t = c; t < tokens; t++) square += all[t * columns + c] * all[t * columns + c];
            var norm = Math.Sqrt(square);
            largest = Math.Max(largest, norm);
            if (!(norm > 1e-9 * largest)) return null;
            var head = all[c * columns + c];
            var pivot = head > 0 ? -norm : norm;
            // v = column − pivot·e, and vᵀv / 2 = norm² − pivot·head.
            all[c * columns + c] = head - pivot;
            var half = square - pivot * head;
            for (var other = c + 1; other < columns; other++)
            {
                double product = 0;
                for (var t = c; t < tokens; t++) product += all[t * columns + c] * all[t * columns + other];
                for (var t = c; t < tokens; t++) all[t * columns + other] -= product / half * all[t * columns + c];
            }
            all[c * columns + c] = pivot;
        }
        var solved = new double[width * experts];
        for (var e = 0; e < experts; e++)
            for (var m = width - 1; m >= 0; m--)
            {
                var rest = all[m * columns + width + e];
                for (var later = m + 1; later < width; later++) rest -= all[m * columns + later] * solved[later * experts + e];
                solved[m * experts + e] = rest / all[m * columns + m];
            }
        return solved;
    }
}
