namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    readonly Dictionary<SumTree, Indices> _joins = [];

    /// <summary>
    /// Y (+)= the sum of <paramref name="parts"/>, one of Y's size (row after row, without gaps) for every block of <paramref name="tree"/>, joined by
    /// halves. The parts are used up.
    /// </summary>
    internal void JoinBlocks(Matrix parts, SumTree tree, Matrix y, bool accumulate) =>
        ForElements("join_blocks", y, [Pointer(parts), y.Count, Pointer(Joins(tree)), tree.Leaves, Pointer(y), y.Stride, y.Columns, accumulate]);

    /// <summary>How many halves are complete with each block, on the device; written once a tree.</summary>
    Indices Joins(SumTree tree)
    {
        if (_joins.TryGetValue(tree, out var known)) return known;
        var joins = new int[tree.Leaves];
        for (var leaf = 0; leaf < joins.Length; leaf++) joins[leaf] = tree[leaf].Joins;
        return _joins[tree] = this.Upload(joins);
    }
}
