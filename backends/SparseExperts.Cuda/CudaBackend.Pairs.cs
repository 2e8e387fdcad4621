namespace SparseExperts.Cuda;

/// <summary>A·op(B) on rows of A: of groups, each with its own B, or of one product.</summary>
/// <param name="RowsOfB">Rows of a group's B.</param>
readonly record struct RowsProduct(Matrix A, Matrix B, Matrix C, int RowsOfB, ProductShape Shape)
{
    /// <summary>The order in which a thread joins blocks of k.</summary>
    public SumTree? Joined { get; init; }

    /// <summary>Elements between the sums of two blocks of k, where each has slices of its own.</summary>
    public long? Part { get; init; }

    /// <summary>Whether rows of no group become 0.</summary>
    public bool Zeroes { get; init; }

    /// <summary>The slices of one product; null for groups.</summary>
    public Indices? Table { get; init; }

    /// <summary>What becomes of C besides: H = f(C), or C = C ∘ f'(H). H lies as C does.</summary>
    public (Finish How, Activation Kind, Matrix H)? Finishes { get; init; }
}

/// <summary>As pairs.cu numbers it.</summary>
enum Finish { Nothing, Activates, Slopes }

/// <summary>Xᵀ·Y over all rows, or over those of each group.</summary>
readonly record struct OverRowsProduct(Matrix X, Matrix Y, Matrix W, ProductShape Shape)
{
    /// <summary>The slices of one product; null for groups.</summary>
    public Indices? Table { get; init; }
}

/// <summary>Two products in one launch: both gradients of a product ask for the same rows and wait for nothing from each other.</summary>
public sealed partial class CudaBackend
{
    /// <summary>Both gradients in one launch where neither is too large for it and both have tiles of one size.</summary>
    public void LinearBackward(Matrix x, Matrix w, bool transposeW, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dw, bool accumulateW)
    {
        Check.LinearBackward(this, x, w, transposeW, dy, sequence, dx, dw);
        var (left, right) = transposeW ? (dy, x) : (x, dy);
        if (!ByCublas && dx.Count > 0 && dw.Count > 0 && PairOfGradients()) return;
        Gemm(dy, false, w, !transposeW, dx, accumulateX);
        GemmOuter(left, right, dw, sequence, accumulateW);

        bool PairOfGradients()
        {
            var ofRows = OfRows(dy, w, !transposeW, dx, accumulateX);
            var overRows = OverRows(left, right, dw, false) with
            {
                Tree = new(x.Rows, sequence),
                End = accumulateW ? ProductEnd.AddsToC : ProductEnd.Overwrites,
            };
            var (side, leaves) = (Side([0, dx.Rows], dx.Columns, 1), overRows.Tree.Leaves);
            var isCut = Splits([0, dw.Rows], dw.Columns, leaves);
            if (leaves > 1 && (!isCut || leaves * dw.Count > ScratchNumbers)) return false;
            if (Splits([0, dx.Rows], dx.Columns, ofRows.Tree.Leaves) || side != Side([0, dw.Rows], dw.Columns, isCut ? leaves : 1)) return false;
            var rows = new RowsProduct(dy, w, dx, 0, ofRows) { Joined = ofRows.Tree, Table = Table(ofRows, side, null) };
            if (!FitsAtOnce(side, null, rows)) return false;
            if (!isCut)
            {
                Pair(side, null, rows, new(left, right, dw, overRows) { Table = Table(overRows, side, null) });
                return true;
            }
            var parts = this.Rent(leaves * dw.Rows, dw.Columns);
            var cut = overRows with { C = Rows(parts) };
            Pair(side, null, rows, new(left, right, parts, cut) { Table = Table(cut, side, dw.Count) });
            JoinBlocks(parts, overRows.Tree, dw, accumulateW);
            Return(parts.Storage);
            return true;
        }
    }

    /// <summary>Slices of rows, as many as any offsets could give.</summary>
    static int SlicesOf(int side, Indices? offsets, in RowsProduct rows) =>
        rows.Table is { } table ? table.Count / Slice.Integers : PerLeaf(side, offsets, rows) * (rows.Part is null ? 1 : rows.Shape.Tree.Leaves);

    static int PerLeaf(int side, Indices? offsets, in RowsProduct rows) => rows.Shape.Rows / side + (offsets?.Count ?? 1) - 1;

    /// <summary>Numbers that a block of threads keeps while it joins blocks of k.</summary>
    static long Waiting(int side, in RowsProduct rows) => rows.Joined is { Leaves: > 1 } tree ? (tree.Height - 1) * (long)side * side : 0;

    /// <summary>Whether the scratch memory holds what all blocks of threads keep.</summary>
    bool FitsAtOnce(int side, Indices? offsets, in RowsProduct rows) =>
        Waiting(side, rows) * SlicesOf(side, offsets, rows) * Blocks(rows.Shape.Columns, side) <= ScratchNumbers;

    /// <summary>Starts the kernel for one product or for both. Where what waits does not fit, the first one goes in steps.</summary>
    void Pair(int side, Indices? offsets, RowsProduct? first, OverRowsProduct? second)
    {
        var groups = (offsets?.Count ?? 1) - 1;
        var rows = first.GetValueOrDefault();
        int slices = first is null ? 0 : SlicesOf(side, offsets, rows), tiles = first is null ? 1 : Math.Max(1, Blocks(rows.Shape.Columns, side));
        var over = second.GetValueOrDefault();
        var overSlices = second is null ? 0 : over.Table is { } table ? table.Count / Slice.Integers : groups * Blocks(over.Shape.Rows, side);
        var overBlocks = overSlices * (second is null ? 0 : Blocks(over.Shape.Columns, side));
        var (atOnce, waiting, stack) = (int.MaxValue / tiles, first is null ? 0 : Waiting(side, rows), default(Storage));
        DevicePointer counts = default, joins = default, waits = default;
        if (waiting > 0 && slices > 0)
        {
            var tree = rows.Joined!.Value;
            atOnce = second is null ? (int)Math.Clamp(ScratchNumbers / waiting / tiles, 1, slices) : slices;
            stack = Rent(ElementType.Real, waiting * ((long)atOnce * tiles + overBlocks));
            (counts, joins, waits) = (Pointer(Counts(tree)), Pointer(Joins(tree)), ((CudaStorage)stack).Memory);
        }
        DevicePointer ends = offsets is { } o ? Pointer(o) : default, starts = rows.Part is null ? default : Pointer(Starts(rows.Shape.Tree));
        for (var slice = 0; slice < Math.Max(slices, 1); slice += atOnce)
        {
            var rowBlocks = tiles * Math.Min(atOnce, slices - slice);
            Launch($"pair_{side}", new(rowBlocks + overBlocks, 1, 1, side == 128 ? 256 : 64),
            [
                ends, groups, rowBlocks,
                Place(first?.A), rows.Shape.A.Line, Place(first?.B), rows.Shape.B.Line, rows.Shape.B.Along, (long)rows.RowsOfB * rows.B.Stride,
                Place(first?.C), rows.Shape.C.Line, rows.Shape.Columns, rows.Shape.Depth,
                Place(rows.Table), slice, first is null ? 1 : PerLeaf(side, offsets, rows), rows.Part is null ? 1 : rows.Shape.Tree.Leaves, starts,
                rows.Part ?? 0, (int)rows.Shape.End, rows.Zeroes ? rows.Shape.Rows : 0,
                counts, joins, Math.Max(1, rows.Joined?.Leaves ?? 1), waits,
                Place(rows.Finishes?.H), rows.Finishes is { } f ? Number(f.Kind) : 0, (int)(rows.Finishes?.How ?? Finish.Nothing),
                Place(second?.X), over.Shape.A.Along, Place(second?.Y), over.Shape.B.Along, Place(second?.W), over.Shape.C.Line,
                over.Shape.Rows, over.Shape.Columns, Place(over.Table), (int)over.Shape.End,
            ]);
        }
        if (stack is not null) Return(stack);
    }

    static DevicePointer Place(Matrix? matrix) => matrix is { } m ? Pointer(m) : default;
    static DevicePointer Place(Indices? indices) => indices is { } i ? Pointer(i) : default;
}
