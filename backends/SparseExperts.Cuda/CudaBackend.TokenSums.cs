using System.Numerics;

namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    readonly Dictionary<SumTree, (Indices Starts, Indices Counts, Indices Joins)> _trees = [];

    /// <summary>Threads of token_sums.cu's blocks at most, and columns of a block.</summary>
    const int MostSumThreads = 1024, SumColumnsOfBlock = 16;

    /// <summary>Sums down every column, whose blocks are summed by threads of one block and joined there.</summary>
    void SumTokens(string kernel, SumTree tree, int columns, params ReadOnlySpan<KernelArgument> rest) => SumTokens(kernel, tree, 1, columns, rest);

    /// <summary>The same for groups, each with sums of its own.</summary>
    void SumTokens(string kernel, SumTree tree, int groups, int columns, params ReadOnlySpan<KernelArgument> rest)
    {
        var width = (int)Math.Min(SumColumnsOfBlock, BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, columns)));
        var height = Math.Clamp(tree.Leaves, 1, MostSumThreads / width);
        Launch(kernel, new(Blocks(columns, width), Math.Min(groups, _driver.Device.MaxBlocksY), 1, width, height),
            [Pointer(Starts(tree)), Pointer(Joins(tree)), tree.Leaves, columns, .. rest]);
    }

    /// <summary>Y_g (+)= the sums over the rows of each group, which are as many.</summary>
    void SumGroups(Matrix x, SumTree tree, int groups, Matrix y, bool accumulate) =>
        SumTokens("sum_columns", tree, groups, x.Columns, groups, tree.Rows, Pointer(x), x.Stride, Pointer(y), y.Stride, accumulate);

    /// <summary>
    /// Y (+)= the sum of <paramref name="parts"/>, one of Y's size (row after row, without gaps) for every block of <paramref name="tree"/>, joined by
    /// halves.
    /// </summary>
    internal void JoinBlocks(Matrix parts, SumTree tree, Matrix y, bool accumulate) =>
        Elements("join_blocks", [y], Pointer(parts), y.Count, Pointer(Joins(tree)), tree.Leaves, accumulate);

    /// <summary>The first row of every block, and behind the last the number of rows, on the device.</summary>
    Indices Starts(SumTree tree) => OnDevice(tree).Starts;

    /// <summary>Terms of every block, on the device.</summary>
    Indices Counts(SumTree tree) => OnDevice(tree).Counts;

    /// <summary>How many halves are complete with each block, on the device.</summary>
    Indices Joins(SumTree tree) => OnDevice(tree).Joins;

    /// <summary>All three, written once a tree.</summary>
    (Indices Starts, Indices Counts, Indices Joins) OnDevice(SumTree tree)
    {
        if (_trees.TryGetValue(tree, out var known)) return known;
        int[] starts = new int[tree.Leaves + 1], counts = new int[tree.Leaves], joins = new int[tree.Leaves];
        for (var leaf = 0; leaf < joins.Length; leaf++) (starts[leaf], counts[leaf], joins[leaf]) = tree[leaf];
        starts[^1] = tree.Rows;
        return _trees[tree] = (this.Upload(starts), this.Upload(counts), this.Upload(joins));
    }
}
