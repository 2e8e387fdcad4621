namespace SparseExperts.Models;

/// <summary>Products and memory of a decoder.</summary>
public static class DecoderSize
{
    public static ModelSize Of(ModelConfig m) => new(Operations(m, m.Context), Kept(m, recomputes: false), Kept(m, recomputes: true));

    static double Sparse(ModelConfig m) => Enumerable.Range(0, m.Layers).Count(m.IsSparse);

    static double FeedForward(ModelConfig m) => 2.0 * m.Width * m.Hidden;

    /// <summary>
    /// Floating-point operations of the products of one forward pass over a sequence of <paramref name="length"/> tokens, two a multiply-add: projections,
    /// all scores, feed-forward layers, routers and logits.
    /// </summary>
    public static double Operations(ModelConfig m, int length)
    {
        double width = m.Width, t = length, sparse = Sparse(m);
        var feed = (m.Layers - sparse) * FeedForward(m) + sparse * (FeedForward(m) * Math.Min(m.ExpertsPerToken, m.Experts) + width * m.Experts);
        return 2 * t * (m.Layers * (4 * width * width + 2 * t * width) + feed + width * m.Vocabulary);
    }

    /// <summary>
    /// Of a token, a block keeps about 20·D, heads·S attention shares, and for each of its c choices 6·D + 2.2·H; the head 4·V. Dropout keeps masks
    /// besides. Recomputed, a block keeps its input, and one at a time the rest.
    /// </summary>
    static double Kept(ModelConfig m, bool recomputes)
    {
        var choices = m.Experts == 0 ? 1 : Math.Min(m.ExpertsPerToken, m.Experts);
        var block = 20.0 * m.Width + (double)m.Heads * m.Context + choices * (6.0 * m.Width + 2.2 * m.Hidden);
        if (m.Dropout > 0 || m.ExpertDropout > 0) block *= 1.2;
        var blocks = recomputes ? m.Layers * 2.0 * m.Width + block : m.Layers * block;
        return m.Context * (blocks + 4.0 * m.Vocabulary);
    }
}
