namespace SparseExperts.Sharding;

/// <summary>
/// The shards of a batch as one of them sees them: each has a run of whole sequences, in order, and all run the same model on their own. What is
/// summed over all tokens is summed within each shard and then along the halves of <see cref="SumTree"/>, so that every shard gets the bits
/// that one process would have got.
/// </summary>
public interface IShards
{
    /// <summary>The first sequence that this shard has, how many it has, and how many there are.</summary>
    (int First, int Count, int Total) Sequences { get; }

    /// <summary>Where every shard lies in the halving: the run of leaves that it has, and how many leaves there are.</summary>
    (int Total, IReadOnlyList<(int First, int Count)> Runs) Tree { get; }

    /// <summary>Every shard's array, in the order of their sequences. All shards call it together.</summary>
    IReadOnlyList<T[]> Gather<T>(T[] own);
}

/// <summary>What shards do with what they gather.</summary>
public static class ShardExtensions
{
    /// <summary>Replaces a partial sum by the sum over all shards, along the halves of <see cref="SumTree"/>.</summary>
    public static void Join(this IShards shards, float[] partial)
    {
        var parts = shards.Gather(partial);
        SumTree.Join(shards.Tree.Total, [.. shards.Tree.Runs.Zip(parts)]).CopyTo(partial, 0);
    }

    /// <summary>The sum of a count over all shards.</summary>
    public static int Total(this IShards shards, int count) => shards.Gather(new[] { count }).Sum(c => c[0]);

    /// <summary>Sums of counts over all shards; exact, because they are integers.</summary>
    public static double[] Total(this IShards shards, double[] counts)
    {
        var sums = new double[counts.Length];
        foreach (var part in shards.Gather(counts))
            for (var i = 0; i < sums.Length; i++) sums[i] += part[i];
        return sums;
    }
}
