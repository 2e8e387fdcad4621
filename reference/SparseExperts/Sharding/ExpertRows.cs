using SparseExperts.Autograd;

namespace SparseExperts.Sharding;

/// <summary>An expert has one owner, who receives the rows of all shards: then its sums over rows are the chain that one process computes.</summary>
static class ExpertRows
{
    /// <summary>
    /// Rows of two matrices in expert order, from all shards: by expert, then shard by shard, which is by token. Without shards they are what they were, and
    /// with micro-batches too: those add to one gradient in the order of the batch.
    /// </summary>
    public static (Matrix A, Matrix B, int[] Offsets) OfAllShards(this Tape tape, Matrix a, Matrix b, int[] offsets)
    {
        if (tape.Shards is null or MicroBatches) return (a, b, offsets);
        var shards = tape.Shards;
        var cuts = shards.Gather(offsets);
        var all = new int[offsets.Length];
        foreach (var cut in cuts)
            for (var e = 0; e < all.Length; e++) all[e] += cut[e];
        return (Joined(tape, shards, a, cuts, all), Joined(tape, shards, b, cuts, all), all);
    }

    static Matrix Joined(Tape tape, IShards shards, Matrix own, IReadOnlyList<int[]> cuts, int[] offsets)
    {
        var parts = shards.Gather(tape.Backend.ToArray(own));
        var rows = new float[offsets[^1] * own.Columns];
        var next = 0;
        for (var e = 0; e + 1 < offsets.Length; e++)
            for (var s = 0; s < parts.Count; s++)
            {
                var part = parts[s].AsSpan(cuts[s][e] * own.Columns, (cuts[s][e + 1] - cuts[s][e]) * own.Columns);
                part.CopyTo(rows.AsSpan(next));
                next += part.Length;
            }
        var whole = tape.Rent(offsets[^1], own.Columns);
        tape.Backend.Write(whole, (ReadOnlySpan<float>)rows);
        return whole;
    }
}
