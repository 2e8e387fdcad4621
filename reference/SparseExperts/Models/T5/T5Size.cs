namespace SparseExperts.Models;

/// <summary>Products and memory of an encoder and decoder.</summary>
public static class T5Size
{
    public static ModelSize Of(T5Config m) => new(Operations(m, m.Context, m.TargetContext), Kept(m, recomputes: false), Kept(m, recomputes: true));

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

    /// <summary>
    /// A block keeps about 10·D + 10·D_heads, heads·S attention shares, and for each of its c choices 6·D + 2.2·H; cross-attention 10·D_heads of the
    /// decoder's tokens and 4·D_heads of the encoder's; the head 4·V. Dropout keeps masks besides. Recomputed, a block keeps its input, and one at a
    /// time the rest.
    /// </summary>
    static double Kept(T5Config m, bool recomputes)
    {
        var choices = m.Experts == 0 ? 1 : Math.Min(m.ExpertsPerToken, m.Experts);
        double Block(int keys) => 10.0 * m.Width + 10.0 * m.Inner + (double)m.Heads * keys + choices * (6.0 * m.Width + 2.2 * m.Hidden);
        double encoder = m.Context * Block(m.Context), decoder = m.TargetContext * (Block(m.TargetContext) + 10.0 * m.Inner + (double)m.Heads * m.Context)
            + 4.0 * m.Context * m.Inner;
        if (m.Dropout > 0 || m.ExpertDropout > 0) (encoder, decoder) = (1.2 * encoder, 1.2 * decoder);
        var blocks = recomputes
            ? 2.0 * m.Width * (m.EncoderLayers * m.Context + m.DecoderLayers * m.TargetContext) + Math.Max(encoder, decoder)
            : m.EncoderLayers * encoder + m.DecoderLayers * decoder;
        return blocks + 4.0 * m.Vocabulary * m.TargetContext;
    }
}
