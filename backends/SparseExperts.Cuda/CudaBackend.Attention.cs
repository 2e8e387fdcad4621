namespace SparseExperts.Cuda;

/// <summary>
/// Attention as batched products and row kernels. Probabilities are kept anyway, so scores live in their place. Causal products leave out what is
/// masked, tile by tile. Chains are not cut.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Threads that share a row in the row kernels, one a lane of its sum.</summary>
    const int LaneThreads = 16;

    /// <summary>Probabilities, row (sequence·heads + head)·queries + query.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, shape.Keys);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, bias, pad, saved, y);
        Compare(shape, q, k, saved, shape.Causal);
        Launch("attention_probabilities", ScoreRows(shape),
        [
            Pointer(saved), saved.Stride, shape.ScoreRows, shape.Queries, shape.Keys, shape.Heads, (float)shape.Scale,
            bias is { } b ? Pointer(b) : default, bias?.Stride ?? 0, pad is { } p ? Pointer(p) : default, pad?.Stride ?? 0, shape.Causal,
        ]);
        Mix(shape, saved, v, y, accumulate: false);
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias)
    {
        Check.AttentionBackward(this, shape, q, k, v, bias, pad, saved, y, dy, dq, dk, dv, dBias);
        var scores = this.Rent(shape.ScoreRows, shape.Keys);
        var slopes = dBias is null ? default : this.Rent(shape.ScoreRows, shape.Keys);
        var causal = shape.Causal && dBias is null;     // a bias has a gradient behind the mask too, zeros whose signs come from the formula
        Compare(shape, dy, v, scores, causal);
        Launch("attention_slopes", ScoreRows(shape),
        [
            Pointer(saved), saved.Stride, Pointer(scores), dBias is null ? default(DevicePointer) : Pointer(slopes),
            shape.ScoreRows, shape.Queries, shape.Keys, (float)shape.Scale, causal,
        ]);
        Mix(shape, scores, k, dq, accumulateQ);
        MixBack(shape, scores, q, dk, accumulateK);
        MixBack(shape, saved, dy, dv, accumulateV);
        Return(scores.Storage);
        if (dBias is not { } gradient) return;
        JoinBlocks(slopes, new(shape.Sequences, 1), gradient, accumulate: true);
        Return(slopes.Storage);
    }

    /// <summary>
    /// Scores = X·Yᵀ for every sequence and head, X a row a query and Y a row a key; when causal only up to the tile that has the diagonal.
    /// </summary>
    void Compare(in AttentionShape shape, Matrix x, Matrix y, Matrix scores, bool causal) =>
        Multiply(Pointer(x), Pointer(y), scores, new(
            shape.Queries, shape.Keys, shape.HeadWidth,
            Heads(shape, x, Rows(x), shape.Queries), Heads(shape, y, Rows(y), shape.Keys), Scores(shape, scores, Rows(scores)),
            new(shape.HeadWidth, 0), ProductEnd.Overwrites, shape.Sequences, shape.Heads, causal ? Triangle.Columns : Triangle.None, shape.Offset));

    /// <summary>Y (+)= W·X + 0 for every sequence and head, X a row a key and Y a row a query; when causal W is 0 above the diagonal.</summary>
    void Mix(in AttentionShape shape, Matrix weights, Matrix x, Matrix y, bool accumulate) =>
        Multiply(Pointer(weights), Pointer(x), y, new(
            shape.Queries, shape.HeadWidth, shape.Keys,
            Scores(shape, weights, Left(weights, false)), Heads(shape, x, Columns(x), shape.Keys), Heads(shape, y, Rows(y), shape.Queries),
            new(shape.Keys, 0), Chains(accumulate) | ProductEnd.PlusZero, shape.Sequences, shape.Heads,
            shape.Causal ? Triangle.DepthTo : Triangle.None, shape.Offset));

    /// <summary>Y (+)= Wᵀ·X + 0 for every sequence and head, X a row a query and Y a row a key; when causal W is 0 above the diagonal.</summary>
    void MixBack(in AttentionShape shape, Matrix weights, Matrix x, Matrix y, bool accumulate) =>
        Multiply(Pointer(weights), Pointer(x), y, new(
            shape.Keys, shape.HeadWidth, shape.Queries,
            Scores(shape, weights, Left(weights, true)), Heads(shape, x, Columns(x), shape.Queries), Heads(shape, y, Rows(y), shape.Keys),
            new(shape.Queries, 0), Chains(accumulate) | ProductEnd.PlusZero, shape.Sequences, shape.Heads,
            shape.Causal ? Triangle.DepthFrom : Triangle.None, shape.Offset));

    static Steps Heads(in AttentionShape shape, Matrix matrix, Steps steps, int length) =>
        steps with { Outer = (long)length * matrix.Stride, Inner = shape.HeadWidth };

    static Steps Scores(in AttentionShape shape, Matrix matrix, Steps steps) =>
        steps with { Outer = (long)shape.Heads * shape.Queries * matrix.Stride, Inner = (long)shape.Queries * matrix.Stride };

    static LaunchShape ScoreRows(in AttentionShape shape) => new(Blocks((long)shape.ScoreRows * LaneThreads, ElementThreads), 1, 1, ElementThreads);
}
