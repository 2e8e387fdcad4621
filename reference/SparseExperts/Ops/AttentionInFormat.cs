using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>
/// Attention as eager code of a narrow format computes it: scores, what is added to them, shares and sums are each rounded; the softmax itself is taken in
/// float32. One head of one sequence after the other.
/// </summary>
public static class AttentionInFormat
{
    const float Unseen = -1e30f;

    /// <summary>In float32 it is <see cref="Op.Attention"/>.</summary>
    public static Tensor Attention(this InFormat rounded, AttentionShape shape, Tensor q, Tensor k, Tensor v, Tensor? bias = null, Matrix? pad = null)
    {
        var tape = rounded.Tape;
        if (rounded.Format == NumberFormat.Float32) return tape.Attention(shape, q, k, v, bias, pad);
        var parts = new List<Tensor>();
        for (var b = 0; b < shape.Sequences; b++)
            for (var h = 0; h < shape.Heads; h++)
            {
                Tensor Head(Tensor x, int rows) => tape.GatherElements(x, Elements(b * rows, rows, h * shape.HeadWidth, shape.HeadWidth, shape.Width),
                    rows, shape.HeadWidth, 0);
                var scores = rounded.Round(tape.Linear(Head(q, shape.Queries), Head(k, shape.Keys), transpose: true));       // [Q, K]
                if (shape.Scale != 1) scores = rounded.Scale(scores, shape.Scale);
                if (Added(tape, shape, b, h, bias, pad) is { } added) scores = rounded.Add(scores, rounded.Round(added));
                parts.Add(rounded.Linear(rounded.Round(tape.Softmax(scores)), Head(v, shape.Keys)));                         // [Q, d]
            }
        var stacked = tape.StackRows(parts);                                                                                 // [B·H·Q, d]
        return tape.GatherElements(stacked, Places(shape), shape.QueryRows, shape.Width, q.Sequence);
    }

    /// <summary>What a head's scores are added to: positions, padding, and what a causal query does not see.</summary>
    static Tensor? Added(Tape tape, AttentionShape shape, int sequence, int head, Tensor? bias, Matrix? pad)
    {
        Tensor? sum = bias is null ? null : tape.RowRange(bias, head * shape.Queries, shape.Queries);
        if (!shape.Causal && pad is null) return sum;
        var padding = pad is { } of ? tape.Backend.ToArray(of.RowRange(sequence, 1)) : new float[shape.Keys];
        var mask = new float[shape.Queries * shape.Keys];
        for (var i = 0; i < mask.Length; i++) mask[i] = i % shape.Keys < shape.Visible(i / shape.Keys) ? padding[i % shape.Keys] : Unseen;
        var unseen = tape.Constant(shape.Queries, shape.Keys, mask);
        return sum is null ? unseen : tape.Add(sum, unseen);
    }

    /// <summary>Row-major numbers of a block of a matrix.</summary>
    static int[] Elements(int firstRow, int rows, int firstColumn, int columns, int width) =>
        [.. Enumerable.Range(0, rows * columns).Select(i => (firstRow + i / columns) * width + firstColumn + i % columns)];

    /// <summary>From heads one below the other to heads side by side.</summary>
    static int[] Places(AttentionShape shape)
    {
        var ids = new int[shape.QueryRows * shape.Width];
        for (var i = 0; i < ids.Length; i++)
        {
            int row = i / shape.Width, column = i % shape.Width, head = column / shape.HeadWidth;
            var part = (row / shape.Queries * shape.Heads + head) * shape.Queries + row % shape.Queries;
            ids[i] = part * shape.HeadWidth + column % shape.HeadWidth;
        }
        return ids;
    }
}
