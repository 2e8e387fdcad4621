using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// T5's span corruption (Raffel et al. 2020, section 3.1.4; package t5 0.9.4, preprocessors.py): spans of a text are taken out and a sentinel is left in the
/// place of each; the target is what was taken out, behind the sentinels. Draws come in, so that the same draws give what the package gives.
/// </summary>
/// <param name="NoiseDensity">Share of the tokens that is taken out.</param>
/// <param name="MeanSpanLength">Tokens of a span in the mean.</param>
public sealed record SpanCorruption(double NoiseDensity = 0.15, double MeanSpanLength = 3)
{
    /// <summary>More tokens than any text here has: where <see cref="Lengths"/> gives up.</summary>
    const int MostTokens = 1 << 26;

    /// <summary>
    /// Tokens of noise and spans of n = max(length, 2) tokens (t5: <c>random_spans_noise_mask</c>): noise = round(n·density) within [1, n − 1],
    /// spans = max(1, round(noise/mean)), both in float32 and half to even.
    /// </summary>
    /// <exception cref="DataException">
    /// There are fewer tokens than spans on either side, so that no segmentation has so many parts; the package fails there.
    /// </exception>
    public (int Length, int Noise, int Spans) Counts(int length)
    {
        Validate();
        var n = Math.Max(length, 2);
        var noise = Math.Clamp((int)MathF.Round(n * (float)NoiseDensity, MidpointRounding.ToEven), 1, n - 1);
        var spans = Math.Max(1, (int)MathF.Round(noise / (float)MeanSpanLength, MidpointRounding.ToEven));
        if (spans > n - noise)
        {
            var sides = $"{spans} spans of {noise} tokens of noise among {n - noise} others";
            throw new DataException($"span corruption of {n} tokens: {sides} cannot be; lower the noise density or raise the mean span length");
        }
        return (n, noise, spans);
    }

    /// <summary>
    /// Which tokens are noise (t5: <c>random_spans_noise_mask</c>): segments of both kinds alternate, the first is no noise and the last is.
    /// </summary>
    /// <param name="orderNoise">A permutation of noise − 1 places: how the markers of noise's segments are shuffled.</param>
    /// <param name="orderNonnoise">The same of the other tokens.</param>
    public bool[] Mask(int length, ReadOnlySpan<int> orderNoise, ReadOnlySpan<int> orderNonnoise)
    {
        var (n, noise, spans) = Counts(length);
        int[] noisy = Segments(noise, spans, orderNoise), plain = Segments(n - noise, spans, orderNonnoise);
        var mask = new bool[n];
        var place = 0;
        for (var span = 0; span < spans; span++)
        {
            place += plain[span];
            mask.AsSpan(place, noisy[span]).Fill(true);
            place += noisy[span];
        }
        return mask[..length];
    }

    /// <summary>
    /// Lengths of segments (t5: <c>_random_segmentation</c>): of items − 1 markers the first segments − 1 are set; place i of the shuffled row has the marker
    /// order[i], and a set one begins a segment.
    /// </summary>
    static int[] Segments(int items, int segments, ReadOnlySpan<int> order)
    {
        if (order.Length != items - 1)
            throw new DataException($"span corruption: an order of {order.Length} places for {items} tokens; give one of {items - 1}");
        var lengths = new int[segments];
        var segment = 0;
        lengths[0] = 1;
        foreach (var from in order)
        {
            if (from < segments - 1) segment++;
            lengths[segment]++;
        }
        return lengths;
    }

    /// <summary>
    /// The tokens with one sentinel in the place of each span of noise, 0, 1, … in order (t5: <c>noise_span_to_unique_sentinel</c>). Sentinel k is
    /// <paramref name="vocabulary"/> − 1 − k. The end token is the caller's.
    /// </summary>
    public static int[] Inputs(ReadOnlySpan<int> tokens, ReadOnlySpan<bool> mask, int vocabulary) => WithSentinels(tokens, mask, true, vocabulary);

    /// <summary>The same with the mask inverted (t5: <c>nonnoise_span_to_unique_sentinel</c>): what was taken out, a sentinel before each span.</summary>
    public static int[] Targets(ReadOnlySpan<int> tokens, ReadOnlySpan<bool> mask, int vocabulary) => WithSentinels(tokens, mask, false, vocabulary);

    static int[] WithSentinels(ReadOnlySpan<int> tokens, ReadOnlySpan<bool> mask, bool noise, int vocabulary)
    {
        var result = new List<int>(tokens.Length);
        var sentinel = vocabulary;
        for (var i = 0; i < tokens.Length; i++)
            if (mask[i] != noise) result.Add(tokens[i]);
            else if (i == 0 || mask[i - 1] != noise) result.Add(--sentinel);
        return [.. result];
    }

    /// <summary>
    /// The most tokens whose corrupted inputs fit, and how long their targets are (t5: <c>random_spans_helper</c> with one sentinel a span and one end token on
    /// both sides). Its rounding is Python's, in float64, and it has no least number of spans: it is a rule of its own, not that of <see cref="Counts"/>.
    /// </summary>
    public (int Tokens, int Targets) Lengths(int inputs)
    {
        Validate();
        if (inputs < 1) throw new DataException($"inputs of {inputs} tokens: at least 1");
        var tokens = inputs - 1;
        while (Sides(tokens + 1).Inputs <= inputs)
            if (++tokens > MostTokens)
                throw new DataException($"noise density {NoiseDensity}: inputs of {inputs} tokens would stand for more than {MostTokens}; lower it");
        var (fitting, targets) = Sides(tokens);
        return NoiseDensity == 0.5 && targets > fitting ? (tokens - 1, targets - 1) : (tokens, targets);
    }

    (int Inputs, int Targets) Sides(int tokens)
    {
        var noise = (int)Math.Round(tokens * NoiseDensity, MidpointRounding.ToEven);
        var spans = (int)Math.Round(noise / MeanSpanLength, MidpointRounding.ToEven);
        return (tokens - noise + spans + 1, noise + spans + 1);
    }

    /// <exception cref="DataException">A value cannot be; one line.</exception>
    public void Validate()
    {
        if (!(NoiseDensity is > 0 and < 1)) throw new DataException($"noise density {NoiseDensity}: between 0 and 1, both excluded", "noise-density");
        if (!(MeanSpanLength is >= 1 and <= 1 << 20)) throw new DataException($"mean span length {MeanSpanLength}: at least 1", "mean-span-length");
    }
}
