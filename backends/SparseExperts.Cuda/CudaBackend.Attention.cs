namespace SparseExperts.Cuda;

/// <summary>
/// Attention as batched products and row kernels. Probabilities are kept anyway, so scores live in their place. Causal products leave out what is
/// masked, tile by tile. Chains are not cut.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Threads that share a row in the row kernels, one a lane of its sum.</summary>
    const int LaneThreads = 16;

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix probabilities, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, bias, pad, probabilities, y);
        Compare(shape, q, k, probabilities, shape.Causal);
        Launch("attention_probabilities", ScoreRows(shape),
        [
            Pointer(probabilities), probabilities.Stride, shape.ScoreRows, shape.Length, shape.Heads, (float)shape.Scale,
            bias is { } b ? Pointer(b) : default, bias?.Stride ?? 0, pad is { } p ? Pointer(p) : default, pad?.Stride ?? 0, shape.Causal,
        ]);
        Mix(shape, probabilities, false, v, y, accumulate: false);
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix probabilities, Matrix dy,
        Matrix dq, Matrix dk, Matrix dv, bool accumulate, Matrix? dBias)
    {
        Check.Attention(this, "AttentionBackward", shape, q, k, v, dBias, null, probabilities, dy);
        Check.Attention(this, "AttentionBackward", shape, dq, dk, dv, null, null, probabilities, dy);
        var scores = this.Rent(shape.ScoreRows, shape.Length);
        var slopes = dBias is null ? default : this.Rent(shape.ScoreRows, shape.Length);
        var causal = shape.Causal && dBias is null;     // a bias has a gradient behind the mask too, zeros whose signs come from the formula
        Compare(shape, dy, v, scores, causal);
        Launch("attention_slopes", ScoreRows(shape),
        [
            Pointer(probabilities), probabilities.Stride, Pointer(scores), dBias is null ? default(DevicePointer) : Pointer(slopes),
            shape.ScoreRows, shape.Length, (float)shape.Scale, causal,
        ]);
        Mix(shape, scores, false, k, dq, accumulate);
        Mix(shape, scores, true, q, dk, accumulate);
        Mix(shape, probabilities, true, dy, dv, accumulate);
        Return(scores.Storage);
        if (dBias is not { } gradient) return;
        JoinBlocks(slopes, new(shape.Sequences, 1), gradient, accumulate: true);
        Return(slopes.Storage);
    }

    /// <summary>Scores = X·Yᵀ for every sequence and head, when causal only up to the tile that has the diagonal.</summary>
    void Compare(in AttentionShape shape, Matrix x, Matrix y, Matrix scores, bool causal) =>
        Multiply(Pointer(x), Pointer(y), scores, new(
            shape.Length, shape.Length, shape.HeadWidth, Heads(shape, x, Rows(x)), Heads(shape, y, Rows(y)), Scores(shape, scores, Rows(scores)),
            new(shape.HeadWidth, 0), ProductEnd.Overwrites, shape.Sequences, shape.Heads, causal ? Triangle.Columns : Triangle.None));

    /// <summary>Y (+)= W·X or Wᵀ·X + 0 for every sequence and head; when causal W is 0 above the diagonal.</summary>
    void Mix(in AttentionShape shape, Matrix weights, bool transpose, Matrix x, Matrix y, bool accumulate) =>
        Multiply(Pointer(weights), Pointer(x), y, new(
            shape.Length, shape.HeadWidth, shape.Length,
            Scores(shape, weights, Left(weights, transpose)), Heads(shape, x, Columns(x)), Heads(shape, y, Rows(y)),
            new(shape.Length, 0), Chains(accumulate) | ProductEnd.PlusZero, shape.Sequences, shape.Heads,
            !shape.Causal ? Triangle.None : transpose ? Triangle.DepthFrom : Triangle.DepthTo));

    static Steps Heads(in AttentionShape shape, Matrix matrix, Steps steps) =>
        steps with { Outer = (long)shape.Length * matrix.Stride, Inner = shape.HeadWidth };

    static Steps Scores(in AttentionShape shape, Matrix matrix, Steps steps) =>
        steps with { Outer = (long)shape.Heads * shape.Length * matrix.Stride, Inner = (long)shape.Length * matrix.Stride };

    static LaunchShape ScoreRows(in AttentionShape shape) => new(Blocks((long)shape.ScoreRows * LaneThreads, ElementThreads), 1, 1, ElementThreads);
}
