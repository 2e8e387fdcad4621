using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>T5's relative positions: every distance falls into a bucket, every bucket has one learned number a head (Raffel et al. 2020, section 2.1).</summary>
public static class RelativePositions
{
    public const int Buckets = 32, MaxDistance = 128;

    /// <summary>
    /// The bucket of key position minus query position: half of the buckets are exact, the rest grow with the logarithm up to
    /// <paramref name="maxDistance"/>; bidirectional attention spends half of them on the future
    /// (Mesh-TensorFlow transformer_layers.py, _relative_position_bucket).
    /// </summary>
    public static int Bucket(int relative, bool bidirectional, int buckets = Buckets, int maxDistance = MaxDistance)
    {
        var first = 0;
        if (bidirectional)
        {
            buckets /= 2;
            if (relative > 0) first = buckets;
        }
        var distance = bidirectional ? Math.Abs(relative) : Math.Max(0, -relative);
        var exact = buckets / 2;
        if (distance < exact) return first + distance;
        var logarithmic = exact + (int)(MathF.Log((float)distance / exact) / (float)Math.Log((double)maxDistance / exact) * (buckets - exact));
        return first + Math.Min(logarithmic, buckets - 1);
    }

    /// <summary>Score bias [H·S, S] from a table [buckets, H]: entry (h, i, j) is table[bucket(j − i), h].</summary>
    public static Tensor Bias(Tape tape, Tensor table, int length, bool bidirectional)
    {
        var buckets = new int[length * length];
        for (var i = 0; i < length; i++)
            for (var j = 0; j < length; j++) buckets[i * length + j] = Bucket(j - i, bidirectional, table.Rows);
        var byPair = tape.GatherRows(table, tape.Upload(buckets));                   // [S·S, H]
        return tape.Reshape(tape.Transpose(byPair), table.Columns * length, length);
    }
}
