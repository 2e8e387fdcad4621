namespace SparseExperts.Cuda;

/// <summary>
/// Products of groups of rows. Where the groups lie is on the device, and blocks of threads find their slices there: the host knows how many rows there are at
/// most, and launches for as many slices as any offsets could give. Slices beyond those that there are have no columns.
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
        var shape = OfRows(a, b, transposeB, c, accumulate);
        var (leaves, even) = (shape.Tree.Leaves, Even(groups, rows));
        if (accumulate || !Splits(even, c.Columns, leaves) || leaves * c.Count > ScratchNumbers)
        {
            Pair(Side(even, c.Columns, 1), offsets, new(a, b, c, b.Rows / groups, shape) { Joined = shape.Tree, Zeroes = zeroes }, null);
            return;
        }
        var parts = this.Rent(leaves * rows, c.Columns);
        var part = new RowsProduct(a, b, parts, b.Rows / groups, shape with { C = Rows(parts) }) { Part = c.Count, Zeroes = zeroes };
        Pair(Side(even, c.Columns, leaves), offsets, part, null);
        JoinBlocks(parts, shape.Tree, c, accumulate: false);
        Return(parts.Storage);
    }

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate)
    {
        Check.GemmGroupedOuter(this, a, c, b, offsets);
        CheckOffsets("GemmGroupedOuter", offsets, a.Rows);
        if (b.Count == 0) return;
        if (IsMade(offsets) ? ByWholeGroups(a, c, offsets) : ByCublas)
        {
            if (IsMade(offsets)) MultiplyWholeGroups(a, c, b, offsets, accumulate);
            else CublasGroupedOuter(a, c, b, offsets, accumulate);
            return;
        }
        Pair(Side([0, a.Columns], c.Columns, offsets.Count - 1), offsets, null, new(a, c, b, OverRows(a, c, b, accumulate)));
    }

    /// <summary>Both products in one launch, where they have tiles of one size; two where other tiles serve them better.</summary>
    public void GemmGroupedBackward(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool accumulateA, Matrix db, bool accumulateB)
    {
        Check.GemmGrouped(this, dc, b, true, da, offsets);
        Check.GemmGroupedOuter(this, a, dc, db, offsets);
        CheckOffsets("GemmGroupedBackward", offsets, a.Rows);
        if (PairOfGradients(a, b, dc, offsets, da, accumulateA, db, accumulateB, null)) return;
        GemmGrouped(dc, b, true, da, offsets, accumulateA);
        GemmGroupedOuter(a, dc, db, offsets, accumulateB);
    }

    public void GemmGroupedActivate(Matrix a, Matrix b, Indices offsets, Activation kind, Matrix c, Matrix y)
    {
        Check.GemmGroupedActivate(this, a, b, offsets, c, y);
        CheckOffsets("GemmGroupedActivate", offsets, a.Rows);
        var groups = offsets.Count - 1;
        if (!ByCublas && c.Count > 0 && groups > 0 && c.Stride == y.Stride)
        {
            var shape = OfRows(a, b, false, c, accumulate: false);
            var even = Even(groups, a.Rows);
            if (!Splits(even, c.Columns, shape.Tree.Leaves))
            {
                Pair(Side(even, c.Columns, 1), offsets, new RowsProduct(a, b, c, b.Rows / groups, shape)
                {
                    Joined = shape.Tree,
                    Zeroes = !Cover(offsets, a.Rows),
                    Finishes = (Finish.Activates, kind, y),
                }, null);
                return;
            }
        }
        GemmGrouped(a, b, false, c, offsets, false);
        Activate(kind, c, y);
    }

    public void GemmGroupedActivateBackward(
        Activation kind, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db, bool accumulateB)
    {
        Check.GemmGroupedActivateBackward(this, x, a, b, dc, offsets, dx, db);
        CheckOffsets("GemmGroupedActivateBackward", offsets, a.Rows);
        if (x.Stride == dx.Stride && PairOfGradients(a, b, dc, offsets, dx, false, db, accumulateB, (Finish.Slopes, kind, x))) return;
        var slopes = this.Rent(x.Rows, x.Columns);
        GemmGroupedBackward(a, b, dc, offsets, slopes, false, db, accumulateB);
        ActivateBackward(kind, x, slopes, dx, false);
        Return(slopes.Storage);
    }

    /// <summary>Whether both gradients went in one launch.</summary>
    bool PairOfGradients(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool accumulateA, Matrix db, bool accumulateB,
        (Finish How, Activation Kind, Matrix H)? finishes)
    {
        var groups = offsets.Count - 1;
        if (ByCublas || da.Count == 0 || db.Count == 0) return false;
        var shape = OfRows(dc, b, true, da, accumulateA);
        var rows = new RowsProduct(dc, b, da, b.Rows / groups, shape)
        {
            Joined = shape.Tree,
            Zeroes = !accumulateA && !Cover(offsets, a.Rows),
            Finishes = finishes,
        };
        var even = Even(groups, a.Rows);
        var side = Side(even, da.Columns, 1);
        if (!accumulateA && Splits(even, da.Columns, shape.Tree.Leaves)) return false;
        if (side != Side([0, a.Columns], dc.Columns, groups) || !FitsAtOnce(side, offsets, rows)) return false;
        Pair(side, offsets, rows, new(a, dc, db, OverRows(a, dc, db, accumulateB)));
        return true;
    }

    static ProductShape OfRows(Matrix a, Matrix b, bool transposeB, Matrix c, bool accumulate) => new(
        a.Rows, c.Columns, a.Columns, Left(a, false), Right(b, transposeB), Rows(c), SumTree.OfProduct(a.Columns), Chains(accumulate));

    static ProductShape OverRows(Matrix a, Matrix c, Matrix b, bool accumulate) =>
        new(a.Columns, c.Columns, a.Rows, Left(a, true), Right(c, false), Rows(b), new(a.Rows, 0), Chains(accumulate));

    /// <summary>Whether the groups are known to have all rows.</summary>
    bool Cover(Indices offsets, int rows) => !IsMade(offsets) && Integers(offsets) is [0, .., var last] && last == rows;

    /// <summary>Offsets of groups of equal size, for what must be decided before anybody knows.</summary>
    static int[] Even(int groups, int rows)
    {
        var offsets = new int[groups + 1];
        for (var g = 0; g <= groups; g++) offsets[g] = (int)((long)rows * g / groups);
        return offsets;
    }
}
