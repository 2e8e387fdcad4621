namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void Cast(Matrix x, Matrix y)
    {
        Check.Cast(this, x, y);
        var op = new CastOp { X = new(x), Y = new(y) };
        EachRow(x.IsContiguous && y.IsContiguous ? op.InRuns() : op);
    }

    void EachRow(CastOp op) => EachRow(op, op.Y.Rows, op.Y.Columns);

    /// <summary>A row, or a run of a contiguous block.</summary>
    struct CastOp : IRowOp
    {
        const int Run = 8192;

        public AnyGrid X, Y;

        /// <summary>The same numbers, contiguous, as rows of equal length and a shorter last one.</summary>
        public readonly CastOp InRuns() => new() { X = X.InRuns(Run), Y = Y.InRuns(Run) };

        public readonly void Row(int row) => Formats.Cast(X.Type, X.Row(row), Y.Type, Y.Row(row), Y.Length(row));
    }

    /// <summary>A view of numbers of any format.</summary>
    struct AnyGrid(Matrix matrix)
    {
        public byte* First = (byte*)((CpuStorage)matrix.Storage).Pointer + matrix.Offset * matrix.Type.Bytes();
        public long Stride = (long)matrix.Stride * matrix.Type.Bytes();
        public ElementType Type = matrix.Type;
        public int Rows = matrix.Rows, Columns = matrix.Columns;

        /// <summary>Numbers of the last row, where it is shorter.</summary>
        int _last = matrix.Columns;

        public readonly int RowBytes => Columns * Type.Bytes();
        public readonly byte* Row(int row) => First + row * Stride;
        public readonly int Length(int row) => row == Rows - 1 ? _last : Columns;

        public readonly AnyGrid InRuns(int run)
        {
            var count = (long)Rows * Columns;
            var runs = (int)((count + run - 1) / run);
            return this with { Stride = (long)run * Type.Bytes(), Rows = runs, Columns = run, _last = (int)(count - (runs - 1L) * run) };
        }
    }
}
