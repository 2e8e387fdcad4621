using System.Runtime.InteropServices;

namespace SparseExperts.Cuda;

/// <summary>
/// Products on tiles of C. A block of threads has a tile and follows all of k, joining blocks of k as it goes; where that gives too few blocks of threads
/// for the device, every block of k has its own sums in scratch memory, which are joined afterwards. The bits are the same.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Numbers that a product may keep in scratch memory at once, 1/256 of the device's memory; beyond that it goes in steps.</summary>
    long ScratchNumbers => _driver.Device.TotalBytes / 256 / sizeof(float);

    const int RememberedTables = 512;

    readonly Dictionary<(ProductShape Shape, int Side, long? Part), Indices> _slices = [];

    /// <summary>C (+)= op(A)·op(B) in the order of the shape's tree.</summary>
    /// <param name="start">Where chains that start at C start instead: a view of C's shape and stride.</param>
    void Multiply(DevicePointer a, DevicePointer b, Matrix c, in ProductShape shape, Matrix? start = null)
    {
        if (shape.Rows == 0 || shape.Columns == 0) return;
        if (Splits([0, shape.Rows], shape.Columns, shape.Tree.Leaves))
        {
            MultiplyBlocks(a, b, c, shape, start ?? c);
            return;
        }
        var side = Side([0, shape.Rows], shape.Columns, 1);
        Run(a, b, Pointer(start ?? c), Pointer(c), shape, side, shape.Tree, Table(shape, side, null));
    }

    /// <summary>The blocks of k by themselves, as many rows at once as the scratch memory holds; then their sums are joined.</summary>
    void MultiplyBlocks(DevicePointer a, DevicePointer b, Matrix c, in ProductShape shape, Matrix start)
    {
        var leaves = shape.Tree.Leaves;
        var atOnce = (int)Math.Min(shape.Rows, Math.Max(32, ScratchNumbers / leaves / shape.Columns));
        for (var row = 0; row < shape.Rows; row += atOnce)
        {
            var rows = Math.Min(atOnce, shape.Rows - row);
            var parts = this.Rent(leaves * rows, shape.Columns);
            var some = shape with { Rows = rows, C = new(shape.Columns, 1) };
            var part = (long)rows * shape.Columns;
            var side = Side([0, rows], shape.Columns, leaves);
            if ((shape.End & ProductEnd.StartsAtC) != 0) Copy(start.RowRange(row, rows), parts.RowRange(0, rows));
            Run(a + row * shape.A.Line * sizeof(float), b, Pointer(parts), Pointer(parts), some, side, null, Table(some, side, part));
            JoinBlocks(parts, shape.Tree, c.RowRange(row, rows), (shape.End & ProductEnd.AddsToC) != 0);
            Return(parts.Storage);
        }
    }

    /// <summary>Starts the kernel for a table of slices; a tree where blocks of threads join blocks of k themselves.</summary>
    void Run(DevicePointer a, DevicePointer b, DevicePointer first, DevicePointer c, in ProductShape shape, int side, SumTree? tree, Indices table)
    {
        var (slices, tiles, leaves) = (table.Count / Slice.Integers, Blocks(shape.Columns, side), Math.Max(1, tree?.Leaves ?? 1));
        var (atOnce, stack) = (int.MaxValue / tiles, default(Storage));
        DevicePointer counts = default, joins = default, waits = default;
        if (leaves > 1 && slices > 0)
        {
            var waiting = (tree!.Value.Height - 1) * (long)side * side * tiles;
            atOnce = (int)Math.Clamp(ScratchNumbers / waiting, 1, slices);
            stack = Rent(ElementType.Real, waiting * atOnce);
            (counts, joins, waits) = (Pointer(Counts(tree.Value)), Pointer(Joins(tree.Value)), ((CudaStorage)stack).Memory);
        }
        for (var slice = 0; slice < slices; slice += atOnce)
        {
            var blocks = tiles * Math.Min(atOnce, slices - slice);
            Launch($"product_{side}", new(blocks, 1, 1, side == 128 ? 256 : 64),
            [
                a, shape.A.Line, shape.A.Along, b, shape.B.Line, shape.B.Along, first, c, shape.C.Line,
                Pointer(table) + (long)slice * Slice.Integers * sizeof(int), tiles, counts, joins, leaves, waits,
            ]);
        }
        if (stack is not null) Return(stack);
    }

    /// <summary>Whether blocks of k go to blocks of threads of their own: C alone has too few tiles for the device.</summary>
    bool Splits(ReadOnlySpan<int> offsets, int columns, int leaves) =>
        leaves > 1 && Tiles(offsets, 128) * Blocks(columns, 128) < _driver.Device.Multiprocessors;

    /// <summary>The largest tile that gives every multiprocessor work and lies on C for more than half of it.</summary>
    int Side(ReadOnlySpan<int> offsets, int columns, int count)
    {
        foreach (var side in (ReadOnlySpan<int>)[128, 64])
        {
            var tiles = Tiles(offsets, side);
            var covered = tiles * side < 2L * (offsets[^1] - offsets[0]) && columns > side / 2;
            if (covered && tiles * Blocks(columns, side) * count >= _driver.Device.Multiprocessors) return side;
        }
        return 32;
    }

    /// <summary>Tiles of rows in all groups.</summary>
    static long Tiles(ReadOnlySpan<int> offsets, int side)
    {
        long tiles = 0;
        for (var g = 1; g < offsets.Length; g++) tiles += Blocks(offsets[g] - offsets[g - 1], side);
        return tiles;
    }

    /// <summary>The slices of a shape, on the device; shapes come again in every layer and step, so they are kept.</summary>
    Indices Table(in ProductShape shape, int side, long? part)
    {
        if (_slices.TryGetValue((shape, side, part), out var known)) return known;
        if (_slices.Count == RememberedTables)
        {
            foreach (var old in _slices.Values) Return(old.Storage);
            _slices.Clear();
        }
        return _slices[(shape, side, part)] = Table(shape.Slices(side, part));
    }

    Indices Table(Slice[] slices) => this.Upload(MemoryMarshal.Cast<Slice, int>(slices));
}
