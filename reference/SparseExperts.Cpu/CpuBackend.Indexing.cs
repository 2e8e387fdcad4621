using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        Check.RowIndices(this, "GatherRows", x, y, rows, y.Rows);
        Check.Labels("GatherRows", Integers(rows), x.Rows, -1);
        EachRow(new GatherRowsOp { X = new(x), Y = new(y), Index = PointerTo(rows), Accumulate = accumulate }, y);
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
            if (Index[row] < 0)
            {
                for (var j = 0; j < n; j += 16) RowMath.Put(Vector512<float>.Zero, y, j, n, Accumulate);
                return;
            }
            var x = X.Row(Index[row]);
            for (var j = 0; j < n; j += 16) RowMath.Put(RowMath.Load(x, j, n), y, j, n, Accumulate);
        }
    }

    public void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        Check.RowIndices(this, "ScatterAddRows", x, y, rows, x.Rows);
        Check.Labels("ScatterAddRows", Integers(rows), y.Rows, -1);
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
                if (Index[r] >= 0) RowMath.Put(RowMath.Load(X.Row(r), column, n), Y.Row(Index[r]), column, n, true);
        }
    }

    public void GatherColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "GatherColumns", x, y);
        Check.Owned(this, "GatherColumns", columns, x.Rows);
        Check.Shape("GatherColumns", "Y", y, x.Rows, 1);
        Check.Labels("GatherColumns", Integers(columns), x.Columns, -1);
        Grid from = new(x), to = new(y);
        var index = PointerTo(columns);
        for (var r = 0; r < from.Rows; r++) *to.Row(r) = index[r] < 0 ? 0f : from.Row(r)[index[r]];
    }

    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "ScatterAddColumns", x, y);
        Check.Owned(this, "ScatterAddColumns", columns, y.Rows);
        Check.Shape("ScatterAddColumns", "X", x, y.Rows, 1);
        Check.Labels("ScatterAddColumns", Integers(columns), y.Columns, -1);
        Grid from = new(x), to = new(y);
        var index = PointerTo(columns);
        for (var r = 0; r < to.Rows; r++)
            if (index[r] >= 0) to.Row(r)[index[r]] += *from.Row(r);
    }
}
