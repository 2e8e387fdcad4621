namespace SparseExperts.Models;

/// <summary>Parameters and products of a decoder, from its sizes alone.</summary>
public static class DecoderSize
{
    /// <summary>Numbers that are trained, with linear routers.</summary>
    public static ParameterCount Parameters(ModelConfig m)
    {
        double width = m.Width, sparse = Sparse(m), norms = (2 * m.Layers + 1) * width * (m.Normalisation == Normalisation.LayerNorm ? 2 : 1);
        var positions = m.Positions == Positions.T5Relative ? (double)RelativePositions.Buckets * m.Heads : 0;
        var attention = m.Layers * 4 * width * width;
        var shared = m.Vocabulary * width + positions + norms + attention + (m.Layers - sparse) * FeedForward(m) + sparse * width * m.Experts;
        return new(shared, sparse * FeedForward(m), m.Experts);
    }

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
}
