namespace SparseExperts.Cuda;

/// <summary>
/// Attention tile by tile. What is kept of a query is its largest score and its sum; the backward kernels compute scores again from them. Scores of a call
/// lie in scratch memory while it runs, and a call whose scores do not fit there goes in steps, each a number of tiles of queries. A tile's chains are those
/// of the whole: none is cut, and a step goes on with those of keys where the one before ended.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Threads of attention's blocks; queries and keys of a tile of scores.</summary>
    const int AttentionThreads = 128, TileQueries = 32, TileKeys = 64;

    /// <summary>Columns of an output, and keys whose gradients it has, that a block of threads has at once.</summary>
    readonly record struct AttentionPanel(int Columns, int Keys)
    {
        public static AttentionPanel For(int columns) => columns <= 64 ? new(64, 64) : new(128, 32);
    }

    /// <summary>Scores of a tile of queries, all tiles of keys beside each other.</summary>
    static int ScratchColumns(in AttentionShape shape) => checked(Math.Max(1, Blocks(shape.Keys, TileKeys)) * TileKeys);

    /// <summary>The largest score and the sum, row (sequence·heads + head)·queries + query.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, 2);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, terms, saved, y);
        var columns = AttentionPanel.For(shape.ValueWidth).Columns;
        KernelArgument[] call = [.. Call(shape, q, k, v, terms), Pointer(saved), saved.Stride, Pointer(y), y.Stride];
        InSteps(shape, 1, (scratch, first, count) =>
            Launch($"attention_{columns}", new(count, 1, 1, AttentionThreads), [.. call, Pointer(scratch[0]), first]));
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks)
    {
        Check.AttentionBackward(this, shape, q, k, v, terms, saved, y, dy, dq, dk, dv, dBias, dSinks);
        var means = this.Rent(shape.ScoreRows, 1);
        KernelArgument[] call = [.. Call(shape, q, k, v, terms), Pointer(dy), dy.Stride, Pointer(saved), saved.Stride, Pointer(means)];
        var panel = AttentionPanel.For(Math.Max(shape.HeadWidth, shape.ValueWidth));
        int tilesOfKeys = Blocks(shape.Queries, TileQueries) * shape.Group, keyTiles = Blocks(shape.Keys, panel.Keys);
        var panels = Blocks(shape.HeadWidth, panel.Columns) + Blocks(shape.ValueWidth, panel.Columns);
        InSteps(shape, 2, (scratch, first, count) =>
        {
            KernelArgument[] step = [.. call, Pointer(scratch[0]), Pointer(scratch[1]), first, count];
            Launch($"attention_queries_{panel.Columns}", new(count, 1, 1, AttentionThreads),
                [.. step, Pointer(dq), dq.Stride, accumulateQ, Optional(dSinks), dSinks?.Stride ?? 0]);
            var heads = (first + count - 1) / tilesOfKeys - first / tilesOfKeys + 1;
            Launch($"attention_keys_{panel.Columns}", new(checked(heads * panels * keyTiles), 1, 1, AttentionThreads),
                [.. step, Pointer(dk), dk.Stride, accumulateK, Pointer(dv), dv.Stride, accumulateV]);
        });
        if (shape.Queries == 0)
        {
            if (!accumulateK) Fill(dk, 0);
            if (!accumulateV) Fill(dv, 0);
        }
        if (dBias is { } gradient && shape.Sequences > 0)
        {
            var tiles = (long)Blocks(shape.Keys, TileKeys) * Blocks(shape.Queries, TileQueries) * shape.Heads;
            var joins = Joins(new SumTree(shape.Sequences, 1));
            Launch("attention_biases", new(checked((int)tiles), 1, 1, AttentionThreads),
                [.. call, Pointer(gradient), gradient.Stride, Pointer(joins), shape.Sequences]);
        }
        Return(means.Storage);
    }

    /// <summary>
    /// All tiles of queries of a call, as many at once as have room for <paramref name="kinds"/> numbers a score in scratch memory; what is launched gets
    /// that memory, the number of its first tile and how many it has.
    /// </summary>
    void InSteps(in AttentionShape shape, int kinds, Action<Matrix[], int, int> launch)
    {
        int tiles = checked(Blocks(shape.Queries, TileQueries) * shape.Sequences * shape.Heads), columns = ScratchColumns(shape);
        if (tiles == 0) return;
        var atOnce = (int)Math.Clamp(ScratchNumbers / kinds / ((long)TileQueries * columns), 1, tiles);
        var scratch = new Matrix[kinds];
        for (var i = 0; i < kinds; i++) scratch[i] = this.Rent(checked(atOnce * TileQueries), columns);
        for (var first = 0; first < tiles; first += atOnce) launch(scratch, first, Math.Min(atOnce, tiles - first));
        foreach (var matrix in scratch) Return(matrix.Storage);
    }

    static KernelArgument[] Call(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms) =>
    [
        Pointer(q), q.Stride, Pointer(k), k.Stride, Pointer(v), v.Stride, Optional(terms.Bias), terms.Bias?.Stride ?? 0,
        Optional(terms.Pad), terms.Pad?.Stride ?? 0, terms.Pad?.Rows == shape.QueryRows, Optional(terms.Sinks),
        shape.Queries, shape.Keys, shape.Heads, shape.Group, shape.HeadWidth, shape.ValueWidth, (float)shape.Scale,
        shape.Causal, shape.Offset, shape.First(shape.Queries - 1) == 0 ? 0 : shape.Window, shape.BlindSeesAll,
    ];

    static DevicePointer Optional(Matrix? matrix) => matrix is { } one ? Pointer(one) : default;
}
