using System.Collections.Concurrent;
using System.Numerics;
using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>
/// T5's relative positions: every distance falls into a bucket, every bucket has one learned number a head (Raffel et al. 2020, section 2.1).
/// </summary>
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
        var bucket = exact;
        foreach (var start in Starts.GetOrAdd((exact, buckets - exact, maxDistance), StartsOf))
            if (distance >= start) bucket++;
        return first + bucket;
    }

    static readonly ConcurrentDictionary<(int Exact, int Others, int Max), int[]> Starts = [];

    /// <summary>
    /// The first distance of every bucket after the first logarithmic one: the least d with ln(d/exact)/ln(max/exact)·rest ≥ i, which is
    /// dʳ·exactⁱ ≥ maxⁱ·exactʳ in integers.
    /// </summary>
    static int[] StartsOf((int Exact, int Others, int Max) shape)
    {
        var (exact, rest, max) = shape;
        if (exact == 0 || max <= exact) return [.. Enumerable.Repeat(0, rest - 1)];          // no distance is in between: all are in the last
        var starts = new int[rest - 1];
        for (int i = 1, d = exact; i < rest; i++)
        {
            var bound = BigInteger.Pow(max, i) * BigInteger.Pow(exact, rest);
            while (BigInteger.Pow(d, rest) * BigInteger.Pow(exact, i) < bound) d++;
            starts[i - 1] = d;
        }
        return starts;
    }

    /// <summary>
    /// Score bias [H·Q, K] from a table [buckets, H], the queries at the end of the keys: entry (h, i, j) is table[bucket(j − i − (K − Q)), h].
    /// </summary>
    public static Tensor Bias(Tape tape, Tensor table, int queries, int keys, bool bidirectional, int maxDistance = MaxDistance)
    {
        int[] Make() => BucketOfPairs(queries, keys, table.Rows, bidirectional, maxDistance);
        // Training meets one shape again and again; a text that is written meets another at every byte.
        var shape = ("relative positions", queries, keys, table.Rows, bidirectional, maxDistance);
        var buckets = tape.Recording ? tape.Constants.Indices(shape, Make) : tape.Upload(Make());
        var byPair = tape.GatherRows(table, buckets);                                // [Q·K, H]
        return tape.Reshape(tape.Transpose(byPair), table.Columns * queries, keys);
    }

    /// <summary>The bucket of every pair of positions, row by row.</summary>
    static int[] BucketOfPairs(int queries, int keys, int rows, bool bidirectional, int maxDistance)
    {
        var buckets = new int[queries * keys];
        int[] byDistance = [.. Enumerable.Range(1 - keys, queries + keys - 1).Select(relative => Bucket(relative, bidirectional, rows, maxDistance))];
        for (var i = 0; i < queries; i++)
            for (var j = 0; j < keys; j++) buckets[i * keys + j] = byDistance[j - i + queries - 1];
        return buckets;
    }
}
