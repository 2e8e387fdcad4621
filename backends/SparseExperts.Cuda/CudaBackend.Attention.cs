namespace SparseExperts.Cuda;

/// <summary>
/// Attention tile by tile. What is kept of a query is its largest score and its sum; the backward kernels compute scores again from them. A tile's chains
/// are those of the whole: none is cut.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Threads of attention's blocks; a tile's lines and crosses.</summary>
    const int AttentionThreads = 128, Lines = 32, Crosses = 64;

    /// <summary>The largest score and the sum, row (sequence·heads + head)·queries + query.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, 2);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, terms, saved, y);
        var wide = Wide(shape.ValueWidth);
        Launch($"attention_{wide}", Tiles(shape.Queries, shape.Sequences * shape.Heads, shape.ValueWidth, wide),
            [.. Call(shape, q, k, v, terms), Pointer(saved), saved.Stride, Pointer(y), y.Stride]);
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks)
    {
        Check.AttentionBackward(this, shape, q, k, v, terms, saved, y, dy, dq, dk, dv, dBias, dSinks);
        var means = this.Rent(shape.ScoreRows, 1);
        KernelArgument[] call = [.. Call(shape, q, k, v, terms), Pointer(dy), dy.Stride, Pointer(saved), saved.Stride, Pointer(means)];
        var wide = Wide(shape.HeadWidth);
        Launch($"attention_queries_{wide}", Tiles(shape.Queries, shape.Sequences * shape.Heads, shape.HeadWidth, wide),
            [.. call, Pointer(dq), dq.Stride, accumulateQ, Optional(dSinks), dSinks?.Stride ?? 0]);
        var columns = Math.Max(shape.HeadWidth, shape.ValueWidth);
        wide = Wide(columns);
        Launch($"attention_keys_{wide}", Tiles(shape.Keys, shape.Sequences * shape.KeyHeads, columns, wide),
            [.. call, Pointer(dk), dk.Stride, accumulateK, Pointer(dv), dv.Stride, accumulateV]);
        if (dBias is { } gradient && shape.Sequences > 0)
        {
            var tiles = (long)Blocks(shape.Keys, Crosses) * Blocks(shape.Queries, Lines) * shape.Heads;
            var joins = Joins(new SumTree(shape.Sequences, 1));
            Launch("attention_biases", new(checked((int)tiles), 1, 1, AttentionThreads),
                [.. call, Pointer(gradient), gradient.Stride, Pointer(joins), shape.Sequences]);
        }
        Return(means.Storage);
    }

    /// <summary>Columns of an output that a block of threads has.</summary>
    static int Wide(int columns) => columns <= 64 ? 64 : 128;

    /// <summary>A block of threads for every tile of rows of every head, and for every <paramref name="wide"/> of its columns.</summary>
    static LaunchShape Tiles(int rows, int heads, int columns, int wide) =>
        new(checked(Blocks(rows, Lines) * heads), Math.Max(1, Blocks(columns, wide)), 1, AttentionThreads);

    static KernelArgument[] Call(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms) =>
    [
        Pointer(q), q.Stride, Pointer(k), k.Stride, Pointer(v), v.Stride, Optional(terms.Bias), terms.Bias?.Stride ?? 0,
        Optional(terms.Pad), terms.Pad?.Stride ?? 0, terms.Pad?.Rows == shape.QueryRows, Optional(terms.Sinks),
        shape.Queries, shape.Keys, shape.Heads, shape.Group, shape.HeadWidth, shape.ValueWidth, (float)shape.Scale,
        shape.Causal, shape.Offset, shape.First(shape.Queries - 1) == 0 ? 0 : shape.Window, shape.BlindSeesAll,
    ];

    static DevicePointer Optional(Matrix? matrix) => matrix is { } one ? Pointer(one) : default;
}
