using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        Check.GatherRows(this, x, rows, y, accumulate);
        _faults.Look("GatherRows", Integers(rows), x.Rows, -1);
        if (x.Type.IsNarrow()) EachRow(new GatherNarrowRowsOp { X = new(x), Y = new(y), Index = PointerTo(rows) }, y);
        else EachRow(new GatherRowsOp { X = new(x), Y = new(y), Index = PointerTo(rows), Accumulate = accumulate }, y);
    }

    struct GatherRowsOp : IRowOp
    {
        public Grid X, Y;
        public int* Index;
        public bool Accumulate;

        public readonly void Row(int row)
        {
            var n = Y.Columns;
            var y = Y.Row(row);
            if (!Names(Index[row], X.Rows))
            {
                for (var j = 0; j < n; j += 16) RowMath.Put(Vector512<float>.Zero, y, j, n, Accumulate);
                return;
            }
            var x = X.Row(Index[row]);
            for (var j = 0; j < n; j += 16) RowMath.Put(RowMath.Load(x, j, n), y, j, n, Accumulate);
        }
    }

    struct GatherNarrowRowsOp : IRowOp
    {
        public AnyGrid X, Y;
        public int* Index;

        public readonly void Row(int row)
        {
            Span<byte> to = new(Y.Row(row), Y.RowBytes);
            if (Names(Index[row], X.Rows)) new Span<byte>(X.Row(Index[row]), X.RowBytes).CopyTo(to);
            else to.Clear();
        }
    }

    public void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        Check.RowIndices(this, "ScatterAddRows", x, y, rows, x.Rows);
        _faults.Look("ScatterAddRows", Integers(rows), y.Rows, -1);
        EachColumn(new ScatterAddRowsOp { X = new(x), Y = new(y), Index = PointerTo(rows) }, x);
    }

    /// <summary>Columns in parallel, rows in order: two rows may meet the same destination.</summary>
    struct ScatterAddRowsOp : IColumnOp
    {
        public Grid X, Y;
        public int* Index;

        public readonly void Block(int column)
        {
            var n = X.Columns;
            for (var r = 0; r < X.Rows; r++)
                if (Names(Index[r], Y.Rows)) RowMath.Put(RowMath.Load(X.Row(r), column, n), Y.Row(Index[r]), column, n, true);
        }
    }

    public void GatherColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "GatherColumns", x, y);
        Check.Owned(this, "GatherColumns", columns, x.Rows);
        Check.Shape("GatherColumns", "Y", y, x.Rows, 1);
        _faults.Look("GatherColumns", Integers(columns), x.Columns, -1);
        Grid from = new(x), to = new(y);
        var index = PointerTo(columns);
        for (var r = 0; r < from.Rows; r++) *to.Row(r) = Names(index[r], from.Columns) ? from.Row(r)[index[r]] : 0f;
    }

    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "ScatterAddColumns", x, y);
        Check.Owned(this, "ScatterAddColumns", columns, y.Rows);
        Check.Shape("ScatterAddColumns", "X", x, y.Rows, 1);
        _faults.Look("ScatterAddColumns", Integers(columns), y.Columns, -1);
        Grid from = new(x), to = new(y);
        var index = PointerTo(columns);
        for (var r = 0; r < to.Rows; r++)
            if (Names(index[r], to.Columns)) to.Row(r)[index[r]] += *from.Row(r);
    }

    /// <summary>Whether an index names one of so many; what does not means none.</summary>
    static bool Names(int index, int count) => (uint)index < (uint)count;
}
