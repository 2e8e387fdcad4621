namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Check.Gemm(this, "Gemm", a, transposeA, b, transposeB, c);
        if (ByCublas)
        {
            CublasGemm(a, transposeA, b, transposeB, c, accumulate);
            return;
        }
        var depth = transposeA ? a.Rows : a.Columns;
        Multiply(Pointer(a), Pointer(b), c, new(
            c.Rows, c.Columns, depth, Left(a, transposeA), Right(b, transposeB), Rows(c), SumTree.OfProduct(depth), Chains(accumulate)));
    }

    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, ReadOnlySpan<int> offsets, bool accumulate)
    {
        Check.GemmGrouped(this, a, b, transposeB, c, offsets);
        if (ByCublas)
        {
            CublasGrouped(a, b, transposeB, c, offsets, accumulate);
            return;
        }
        int groups = offsets.Length - 1, first = offsets[0], rows = offsets[^1] - first, depth = a.Columns;
        if (rows == 0 || c.Columns == 0) return;
        (a, c) = (a.RowRange(first, rows), c.RowRange(first, rows));
        var shape = new ProductShape(rows, c.Columns, depth, Left(a, false), Right(b, transposeB), Rows(c), SumTree.OfProduct(depth), Chains(accumulate));
        var leaves = shape.Tree.Leaves;
        if (!Splits(offsets, c.Columns, leaves) || leaves * c.Count > ScratchNumbers)
        {
            RunOnce(a, b, c, shape, Members(offsets, c.Stride), Side(offsets, c.Columns, 1), shape.Tree, null);
            return;
        }
        var parts = this.Rent(leaves * rows, c.Columns);
        if (accumulate) Copy(c, parts.RowRange(0, rows));
        RunOnce(a, b, parts, shape with { C = Rows(parts) }, Members(offsets, parts.Stride), Side(offsets, c.Columns, leaves), null, c.Count);
        JoinBlocks(parts, shape.Tree, c, accumulate: false);
        Return(parts.Storage);

        Member[] Members(ReadOnlySpan<int> offsets, int strideC)
        {
            var members = new Member[groups];
            for (var g = 0; g < groups; g++)
            {
                long row = offsets[g] - first, matrix = (long)g * (b.Rows / groups);
                members[g] = new(row * a.Stride, matrix * b.Stride, row * strideC, offsets[g + 1] - offsets[g], depth);
            }
            return members;
        }
    }

    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        Check.GemmOuter(this, a, b, c, sequence);
        if (ByCublas)
        {
            CublasGemm(a, true, b, false, c, accumulate);
            return;
        }
        Multiply(Pointer(a), Pointer(b), c, new(
            c.Rows, c.Columns, a.Rows, Left(a, true), Right(b, false), Rows(c), new(a.Rows, sequence),
            accumulate ? ProductEnd.AddsToC : ProductEnd.Overwrites));
    }

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, ReadOnlySpan<int> offsets, bool accumulate)
    {
        Check.GemmGroupedOuter(this, a, c, b, offsets);
        if (ByCublas)
        {
            CublasGroupedOuter(a, c, b, offsets, accumulate);
            return;
        }
        var members = new Member[offsets.Length - 1];
        if (members.Length == 0 || a.Columns == 0 || c.Columns == 0) return;
        for (var g = 0; g < members.Length; g++)
            members[g] = new((long)offsets[g] * a.Stride, (long)offsets[g] * c.Stride, (long)g * a.Columns * b.Stride, a.Columns, offsets[g + 1] - offsets[g]);
        Array.Sort(members, (x, y) => y.Depth.CompareTo(x.Depth));      // long chains begin first
        var shape = new ProductShape(a.Columns, c.Columns, a.Rows, Left(a, true), Right(c, false), Rows(b), new(a.Rows, 0), Chains(accumulate));
        RunOnce(a, c, b, shape, members, Side([0, a.Columns], c.Columns, members.Length), null, null);
    }

    /// <summary>The same product never comes again: its table goes back at once.</summary>
    void RunOnce(Matrix a, Matrix b, Matrix c, in ProductShape shape, Member[] members, int side, SumTree? tree, long? part)
    {
        var table = Table(shape.Slices(members, side, part));
        Run(Pointer(a), Pointer(b), Pointer(c), shape, side, tree, table);
        Return(table.Storage);
    }

    static ProductEnd Chains(bool accumulate) => accumulate ? ProductEnd.StartsAtC : ProductEnd.Overwrites;

    static Steps Rows(Matrix matrix) => new(matrix.Stride, 1);
    static Steps Columns(Matrix matrix) => new(1, matrix.Stride);
    static Steps Left(Matrix a, bool transpose) => transpose ? Columns(a) : Rows(a);
    static Steps Right(Matrix b, bool transpose) => transpose ? Rows(b) : Columns(b);
}
