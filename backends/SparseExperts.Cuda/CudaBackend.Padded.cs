namespace SparseExperts.Cuda;

/// <summary>
/// Products by cuBLAS of groups whose sizes the device alone knows. Their rows are copied to tiles of equal height, one batch multiplies all tiles, and rows
/// are copied back. Where matrix units gain more than the copies cost: factors of less than float32, and an output with a tile for every multiprocessor.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>Rows of a tile; a group leaves fewer than these unused.</summary>
    const int TileSide = 128;

    /// <summary>Rows of whole groups in tiles, as multiples of all rows, beyond which the own kernels multiply.</summary>
    const int MostPadding = 2;

    /// <summary>Integers of a tile in padded.cu, and words of its three addresses.</summary>
    const int TileIntegers = 2, AddressWords = 6;

    bool GainsByPadding(long tiles) => ByCublas && _precision != Precision.F32 && tiles >= _driver.Device.Multiprocessors;

    /// <summary>Whether A·op(B_g) goes by tiles.</summary>
    bool ByTiles(Matrix a, Matrix c) => a.Columns > 0 && GainsByPadding((long)Blocks(a.Rows, TileSide) * Blocks(c.Columns, TileSide));

    /// <summary>Whether A_gᵀ·C_g goes by groups that are padded to the most rows that the plan lets one have.</summary>
    bool ByWholeGroups(Matrix a, Matrix c, Indices offsets)
    {
        long groups = offsets.Count - 1, side = ((CudaStorage)offsets.Storage).MostOfGroup;
        return side > 0 && groups * side <= (long)MostPadding * a.Rows
            && GainsByPadding(groups * Blocks(a.Columns, TileSide) * Blocks(c.Columns, TileSide));
    }

    void MultiplyTiles(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate)
    {
        var groups = offsets.Count - 1;
        var tiles = a.Rows / TileSide + groups;
        var (left, product) = (this.Rent(tiles * TileSide, a.Columns), this.Rent(tiles * TileSide, c.Columns));
        var own = b.RowRange(0, b.Rows / groups);
        using var table = new TileTable(this, tiles);
        MakeTiles(table, offsets, TileSide, whole: false, Pointer(b), (long)own.Rows * b.Stride, left, TileSide, Pointer(product), TileSide * product.Stride);
        Pad(a, left, table, TileSide);
        Multiply(table, Call(left.RowRange(0, TileSide), false, own, transposeB, product.RowRange(0, TileSide), false));
        Elements("unpad_rows", [product, c], product.Rows, product.Columns, table.Tiles, TileSide, accumulate);
        Return(left.Storage);
        Return(product.Storage);
    }

    void MultiplyWholeGroups(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate)
    {
        int groups = offsets.Count - 1, side = ((CudaStorage)offsets.Storage).MostOfGroup;
        var (left, right) = (this.Rent(groups * side, a.Columns), this.Rent(groups * side, c.Columns));
        using var table = new TileTable(this, groups);
        MakeTiles(table, offsets, side, whole: true, Pointer(right), (long)side * right.Stride, left, side, Pointer(b), (long)a.Columns * b.Stride);
        Pad(a, left, table, side);
        Pad(c, right, table, side);
        Multiply(table, Call(left.RowRange(0, side), true, right.RowRange(0, side), false, b.RowRange(0, a.Columns), accumulate));
        Return(left.Storage);
        Return(right.Storage);
    }

    void MakeTiles(TileTable table, Indices offsets, int side, bool whole, DevicePointer right, long rightStep, Matrix left, int leftRows,
        DevicePointer product, long productStep) =>
        Launch("padded_tiles", new(Blocks(table.Count, TableThreads), 1, 1, TableThreads),
        [
            table.Tiles, table.Addresses, table.Count, Pointer(offsets), offsets.Count - 1, side, whole, right, rightStep, Pointer(left),
            (long)leftRows * left.Stride, product, productStep,
        ]);

    void Pad(Matrix from, Matrix to, TileTable table, int side) =>
        Elements("pad_rows", [to, from], to.Rows, to.Columns, table.Tiles, side);

    void Multiply(TileTable table, in GemmCall ofOne)
    {
        var bytes = (long)table.Count * sizeof(ulong);
        Driver.GemmBatched(ofOne with { A = table.Addresses, B = table.Addresses + bytes, C = table.Addresses + 2 * bytes }, table.Count, _stream);
    }

    /// <summary>Tiles and the addresses of their matrices.</summary>
    sealed class TileTable(CudaBackend backend, int count) : IDisposable
    {
        readonly Storage _storage = backend.Rent(ElementType.Integer, (long)count * (TileIntegers + AddressWords));

        public int Count => count;
        public DevicePointer Addresses => ((CudaStorage)_storage).Memory;
        public DevicePointer Tiles => Addresses + (long)count * AddressWords * sizeof(int);
        public void Dispose() => backend.Return(_storage);
    }
}
