namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        Check.GatherRows(this, x, rows, y, accumulate);
        Look(new("GatherRows", x.Rows, -1), rows);
        if (x.Type.IsNarrow()) Elements("gather_narrow_rows", [y], y.Rows, y.Columns, Pointer(x), x.Stride, x.Rows, Pointer(rows));
        else Elements("gather_rows", [y], y.Rows, y.Columns, Pointer(x), x.Stride, x.Rows, Pointer(rows), accumulate);
    }

    public void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        Check.RowIndices(this, "ScatterAddRows", x, y, rows, x.Rows);
        Look(new("ScatterAddRows", y.Rows, -1), rows);
        var runs = new RunsOfRows(Integers(rows), y.Rows);
        var (storage, table) = Tables(runs.Starts, runs.Order, runs.Targets);
        Elements("scatter_add_rows", [], runs.Count, y.Columns, table[0], table[1], table[2], Pointer(x), x.Stride, Pointer(y), y.Stride);
        Return(storage);
    }

    public void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence)
    {
        Check.RowIndices(this, "ScatterAddTokens", x, y, rows, x.Rows);
        Check.Sequence("ScatterAddTokens", sequence);
        Look(new("ScatterAddTokens", y.Rows, -1), rows);
        var targets = new RunsOfRows(Integers(rows), y.Rows);
        var blocks = new RunsOfBlocks(targets, new(x.Rows, sequence));
        var parts = this.Rent(blocks.Count, y.Columns);
        var (storage, table) = Tables(blocks.Starts, targets.Order, blocks.Firsts, blocks.Joins, targets.Targets);
        Elements("scatter_chains", [parts], parts.Rows, parts.Columns, table[0], table[1], Pointer(x), x.Stride);
        Elements("scatter_join", [parts], targets.Count, y.Columns, table[2], table[3], table[4], Pointer(y), y.Stride);
        Return(storage);
        Return(parts.Storage);
    }

    public void GatherColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "GatherColumns", x, y);
        Check.Owned(this, "GatherColumns", columns, x.Rows);
        Check.Shape("GatherColumns", "Y", y, x.Rows, 1);
        Look(new("GatherColumns", x.Columns, -1), columns);
        Elements("gather_columns", [y], y.Rows, 1, Pointer(x), x.Stride, x.Columns, Pointer(columns));
    }

    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "ScatterAddColumns", x, y);
        Check.Owned(this, "ScatterAddColumns", columns, y.Rows);
        Check.Shape("ScatterAddColumns", "X", x, y.Rows, 1);
        Look(new("ScatterAddColumns", y.Columns, -1), columns);
        Elements("scatter_add_columns", [x], x.Rows, 1, Pointer(y), y.Stride, y.Columns, Pointer(columns));
    }

    /// <summary>Brings tables to the device in one transfer; where each of them lies in the storage.</summary>
    (Storage Storage, DevicePointer[] Places) Tables(params ReadOnlySpan<int[]> tables)
    {
        var total = 0;
        foreach (var table in tables) total += table.Length;
        var storage = Rent(ElementType.Integer, Math.Max(1, total));
        var all = new int[total];
        for (int i = 0, start = 0; i < tables.Length; start += tables[i++].Length) tables[i].CopyTo(all, start);
        Write(storage, 0, all);
        var places = new DevicePointer[tables.Length];
        for (int i = 0, start = 0; i < tables.Length; start += tables[i++].Length) places[i] = Pointer(new Indices(storage, start, tables[i].Length));
        return (storage, places);
    }
}
