namespace SparseExperts.Cuda;

/// <summary>
/// Products of groups of rows. Where the groups lie is on the device, and its slices are made there: the host knows how many rows there are at most, and
/// launches for as many slices as any offsets could give. Slices beyond those that there are have no columns.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Threads of a kernel that has nothing to share.</summary>
    const int TableThreads = 128;

    /// <summary>Blocks of threads that go over the rows of no group, which are few.</summary>
    const int OutsideBlocks = 64;

    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate)
    {
        Check.GemmGrouped(this, a, b, transposeB, c, offsets);
        CheckOffsets("GemmGrouped", offsets, a.Rows);
        if (c.Count == 0) return;
        int groups = offsets.Count - 1, rows = a.Rows;
        var zeroes = !accumulate && !Cover(offsets, rows);
        var byCublas = IsMade(offsets) ? ByTiles(a, c) : ByCublas;
        if (zeroes && (groups == 0 || byCublas))
            Launch("zero_outside", new(OutsideBlocks, 1, 1, TableThreads), [Pointer(c), c.Stride, rows, c.Columns, Pointer(offsets), groups]);
        if (groups == 0) return;
        if (byCublas)
        {
            if (IsMade(offsets)) MultiplyTiles(a, b, transposeB, c, offsets, accumulate);
            else CublasGrouped(a, b, transposeB, c, offsets, accumulate);
            return;
        }
        var shape = new ProductShape(
            rows, c.Columns, a.Columns, Left(a, false), Right(b, transposeB), Rows(c), SumTree.OfProduct(a.Columns), Chains(accumulate));
        var (leaves, even) = (shape.Tree.Leaves, Even(groups, rows));
        if (accumulate || !Splits(even, c.Columns, leaves) || leaves * c.Count > ScratchNumbers)
        {
            MultiplyGroups(a, b, c, shape, offsets, Side(even, c.Columns, 1), shape.Tree, null, zeroes);
            return;
        }
        var parts = this.Rent(leaves * rows, c.Columns);
        Fill(parts, 0);                                                     // rows of no group are joined too
        MultiplyGroups(a, b, parts, shape with { C = Rows(parts) }, offsets, Side(even, c.Columns, leaves), null, c.Count, zeroes: false);
        JoinBlocks(parts, shape.Tree, c, accumulate: false);
        Return(parts.Storage);
    }

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate)
    {
        Check.GemmGroupedOuter(this, a, c, b, offsets);
        CheckOffsets("GemmGroupedOuter", offsets, a.Rows);
        var groups = offsets.Count - 1;
        if (b.Count == 0) return;
        if (IsMade(offsets) ? ByWholeGroups(a, c, offsets) : ByCublas)
        {
            if (IsMade(offsets)) MultiplyWholeGroups(a, c, b, offsets, accumulate);
            else CublasGroupedOuter(a, c, b, offsets, accumulate);
            return;
        }
        var shape = new ProductShape(a.Columns, c.Columns, a.Rows, Left(a, true), Right(c, false), Rows(b), new(a.Rows, 0), Chains(accumulate));
        var side = Side([0, a.Columns], c.Columns, groups);
        var blocks = Blocks(a.Columns, side);
        var table = Slices(groups * blocks);
        Launch("grouped_outer_slices", new(Blocks(groups * blocks, TableThreads), 1, 1, TableThreads),
            [Pointer(table), Pointer(offsets), groups, side, blocks, a.Columns, c.Columns, a.Stride, c.Stride, b.Stride, (int)shape.End]);
        Run(Pointer(a), Pointer(c), Pointer(b), shape, side, null, table);
        Return(table.Storage);
    }

    /// <summary>A·op(B_g) for every group; with <paramref name="part"/> every block of k by itself, that many elements apart.</summary>
    /// <param name="zeroes">Whether rows of no group become 0.</param>
    void MultiplyGroups(Matrix a, Matrix b, Matrix c, in ProductShape shape, Indices offsets, int side, SumTree? tree, long? part, bool zeroes)
    {
        var groups = offsets.Count - 1;
        var (perLeaf, leaves) = (shape.Rows / side + groups, part is null ? 1 : shape.Tree.Leaves);
        var table = Slices(perLeaf * leaves);
        DevicePointer starts = part is null ? default : Pointer(Starts(shape.Tree));
        var blocks = Math.Max(Blocks(perLeaf * leaves, TableThreads), zeroes ? OutsideBlocks : 1);
        Launch("grouped_slices", new(blocks, 1, 1, TableThreads),
        [
            Pointer(table), Pointer(offsets), groups, side, perLeaf, leaves, starts, shape.Columns, shape.Depth, shape.A.Line, shape.A.Along, shape.B.Along,
            (long)(b.Rows / groups) * b.Stride, shape.C.Line, part ?? 0, (int)shape.End,
            zeroes ? Pointer(c) : default, c.Stride, shape.Rows,
        ]);
        Run(Pointer(a), Pointer(b), Pointer(c), shape, side, tree, table);
        Return(table.Storage);
    }

    /// <summary>Whether the groups are known to have all rows.</summary>
    bool Cover(Indices offsets, int rows) => !IsMade(offsets) && Integers(offsets) is [0, .., var last] && last == rows;

    Indices Slices(int count) => new(Rent(ElementType.Integer, (long)count * Slice.Integers), 0, count * Slice.Integers);

    /// <summary>Offsets of groups of equal size, for what must be decided before anybody knows.</summary>
    static int[] Even(int groups, int rows)
    {
        var offsets = new int[groups + 1];
        for (var g = 0; g <= groups; g++) offsets[g] = (int)((long)rows * g / groups);
        return offsets;
    }
}
