namespace SparseExperts.Models;

/// <summary>Parameters and products of an encoder and decoder, from its sizes alone: of models too, that fit nowhere here.</summary>
public static class T5Size
{
    /// <summary>Numbers that are trained, with linear routers.</summary>
    public static ParameterCount Parameters(T5Config m)
    {
        double width = m.Width, inner = m.Inner, sparse = m.Experts == 0 ? 0 : m.SparseBlocks, blocks = m.EncoderLayers + m.DecoderLayers;
        var embeddings = m.Vocabulary * width * (m.TiedHead ? 1 : 2) + 2.0 * m.RelativeBuckets * m.Heads;
        var attention = (blocks + m.DecoderLayers) * (4 * width * inner + width);
        var norms = (blocks + 2) * width;
        return new(embeddings + attention + norms + (blocks - sparse) * FeedForward(m) + sparse * width * m.Experts, sparse * FeedForward(m), m.Experts);
    }

    static double FeedForward(T5Config m) => (m.Gated ? 3.0 : 2.0) * m.Width * m.Hidden;

    /// <summary>
    /// Floating-point operations of the products of one forward pass, two a multiply-add: projections, scores, feed-forward layers, routers and logits of a
    /// sequence of <paramref name="inputs"/> tokens that becomes <paramref name="targets"/>; every token meets one expert a choice.
    /// </summary>
    public static double Operations(T5Config m, int inputs, int targets)
    {
        double width = m.Width, inner = m.Inner, s = inputs, t = targets;
        double Feed(bool decoder, int layers, double tokens) => Enumerable.Range(0, layers).Sum(i => m.IsSparse(decoder, i)
            ? tokens * (FeedForward(m) * Math.Min(m.ExpertsPerToken, m.Experts) + width * m.Experts)
            : tokens * FeedForward(m));
        var encoder = m.EncoderLayers * (4 * width * inner * s + 2 * s * s * inner) + Feed(false, m.EncoderLayers, s);
        var own = 4 * width * inner * t + 2 * t * t * inner;
        var cross = 2 * width * inner * t + 2 * width * inner * s + 2 * s * t * inner;
        var decoder = m.DecoderLayers * (own + cross) + Feed(true, m.DecoderLayers, t);
        return 2 * (encoder + decoder + t * width * m.Vocabulary);
    }
}
