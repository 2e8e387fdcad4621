using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.RowMath;
using static SparseExperts.Cpu.VectorMath;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    void EachRow<TOp>(TOp op, Matrix shape) where TOp : unmanaged, IRowOp => EachRow(op, shape.Rows, shape.Columns);

    void EachRow<TOp>(TOp op, int rows, int columns) where TOp : unmanaged, IRowOp
    {
        var job = new RowJob<TOp>(op, rows, columns);
        Workers.Run(job.Parts, job);
    }

    void EachColumn<TOp>(TOp op, Matrix shape) where TOp : unmanaged, IColumnOp => Workers.Run((shape.Columns + 15) / 16, new ColumnJob<TOp>(op));

    public void Softmax(Matrix x, Matrix y)
    {
        Check.Owned(this, "Softmax", x, y);
        Check.Same("Softmax", "X", x, "Y", y);
        EachRow(new SoftmaxOp { X = new(x), Y = new(y) }, x);
    }

    struct SoftmaxOp : IRowOp
    {
        public Grid X, Y;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), y = Y.Row(row);
            var n = X.Columns;
            var max = Max(x, n);
            var sum = Vector512<float>.Zero;
            for (var j = 0; j < n; j += 16)
            {
                var e = VectorMath.Exp(RowMath.Load(x, j, n, float.NegativeInfinity) - Set(max));
                sum += e;
                RowMath.Store(e, y, j, n);
            }
            var total = Set(Join(sum));
            for (var j = 0; j < n; j += 16) RowMath.Store(RowMath.Load(y, j, n) / total, y, j, n);
        }
    }

    public void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "SoftmaxBackward", y, dy, dx);
        Check.Same("SoftmaxBackward", "Y", y, "dY", dy);
        Check.Same("SoftmaxBackward", "Y", y, "dX", dx);
        EachRow(new SoftmaxBackwardOp { Y = new(y), Dy = new(dy), Dx = new(dx), Accumulate = accumulate }, y);
    }

    struct SoftmaxBackwardOp : IRowOp
    {
        public Grid Y, Dy, Dx;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* y = Y.Row(row), dy = Dy.Row(row), dx = Dx.Row(row);
            var n = Y.Columns;
            var dot = Set(Dot(dy, y, n));
            for (var j = 0; j < n; j += 16) Put(RowMath.Load(y, j, n) * (RowMath.Load(dy, j, n) - dot), dx, j, n, Accumulate);
        }
    }

    public void LogSoftmax(Matrix x, Matrix y)
    {
        Check.Owned(this, "LogSoftmax", x, y);
        Check.Same("LogSoftmax", "X", x, "Y", y);
        EachRow(new LogSoftmaxOp { X = new(x), Y = new(y) }, x);
    }

    struct LogSoftmaxOp : IRowOp
    {
        public Grid X, Y;

        public readonly void Row(int row)
        {
            float* x = X.Row(row), y = Y.Row(row);
            var n = X.Columns;
            var max = Max(x, n);
            var log = VectorMath.Log(ExpSum(x, n, max));
            for (var j = 0; j < n; j += 16) RowMath.Store(RowMath.Load(x, j, n) - Set(max) - Set(log), y, j, n);
        }
    }

    public void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "LogSoftmaxBackward", y, dy, dx);
        Check.Same("LogSoftmaxBackward", "Y", y, "dY", dy);
        Check.Same("LogSoftmaxBackward", "Y", y, "dX", dx);
        EachRow(new LogSoftmaxBackwardOp { Y = new(y), Dy = new(dy), Dx = new(dx), Accumulate = accumulate }, y);
    }

    struct LogSoftmaxBackwardOp : IRowOp
    {
        public Grid Y, Dy, Dx;
        public bool Accumulate;

        public readonly void Row(int row)
        {
            float* y = Y.Row(row), dy = Dy.Row(row), dx = Dx.Row(row);
            var n = Y.Columns;
            var sum = Set(Sum(dy, n));
            for (var j = 0; j < n; j += 16) Put(VectorMath.Fma(-VectorMath.Exp(RowMath.Load(y, j, n)), sum, RowMath.Load(dy, j, n)), dx, j, n, Accumulate);
        }
    }

    public void LogSumExp(Matrix x, Matrix y)
    {
        Check.Owned(this, "LogSumExp", x, y);
        Check.Shape("LogSumExp", "Y", y, x.Rows, 1);
        EachRow(new LogSumExpOp { X = new(x), Y = new(y) }, x);
    }

    struct LogSumExpOp : IRowOp
    {
        public Grid X, Y;
        public readonly void Row(int row) => *Y.Row(row) = Of(X.Row(row), X.Columns);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static float Of(float* x, int n)
        {
            var max = Max(x, n);
            return max + VectorMath.Log(ExpSum(x, n, max));
        }
    }

    public void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "LogSumExpBackward", x, y, dy, dx);
        Check.Shape("LogSumExpBackward", "Y", y, x.Rows, 1);
        Check.Same("LogSumExpBackward", "Y", y, "dY", dy);
        Check.Same("LogSumExpBackward", "X", x, "dX", dx);
        EachRow(new LogSumExpBackwardOp { X = new(x), Y = new(y), Dy = new(dy), Dx = new(dx), Accumulate = accumulate }, x);
    }

    struct LogSumExpBackwardOp : IRowOp
    {
        public Grid X, Y, Dy, Dx;
        public bool Accumulate;

        public readonly void Row(int row)
        {
            float* x = X.Row(row), dx = Dx.Row(row);
            var n = X.Columns;
            for (var j = 0; j < n; j += 16) Put(Set(*Dy.Row(row)) * VectorMath.Exp(RowMath.Load(x, j, n) - Set(*Y.Row(row))), dx, j, n, Accumulate);
        }
    }

    public void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
    {
        Check.CrossEntropy(this, "CrossEntropy", logits, labels, smoothing, losses, logSums);
        _faults.Look("CrossEntropy", Integers(labels), logits.Columns, -100);
        EachRow(new CrossEntropyOp
        {
            X = new(logits),
            Labels = PointerTo(labels),
            Smoothing = (float)smoothing,
            Rest = (float)(1 - smoothing),
            Losses = new(losses),
            LogSums = new(logSums),
        }, logits);
    }

    struct CrossEntropyOp : IRowOp
    {
        public Grid X, Losses, LogSums;
        public int* Labels;
        public float Smoothing, Rest;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            var x = X.Row(row);
            int n = X.Columns, label = Labels[row];
            var lse = *LogSums.Row(row) = LogSumExpOp.Of(x, n);
            *Losses.Row(row) = !Names(label, n) ? 0f
                : Smoothing == 0 ? lse - x[label]
                : lse - MathF.FusedMultiplyAdd(Rest, x[label], Smoothing * (Sum(x, n) / n));
        }
    }

    public void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate)
    {
        Check.CrossEntropy(this, "CrossEntropyBackward", logits, labels, smoothing, dLosses, logSums);
        Check.Owned(this, "CrossEntropyBackward", dLogits);
        Check.Same("CrossEntropyBackward", "logits", logits, "dLogits", dLogits);
        _faults.Look("CrossEntropyBackward", Integers(labels), logits.Columns, -100);
        EachRow(new CrossEntropyBackwardOp
        {
            X = new(logits),
            Labels = PointerTo(labels),
            Spread = (float)(smoothing / logits.Columns),
            Rest = (float)(1 - smoothing),
            LogSums = new(logSums),
            Dy = new(dLosses),
            Dx = new(dLogits),
            Accumulate = accumulate,
        }, logits);
    }

    struct CrossEntropyBackwardOp : IRowOp
    {
        public Grid X, LogSums, Dy, Dx;
        public int* Labels;
        public float Spread, Rest;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), dx = Dx.Row(row);
            int n = X.Columns, label = Labels[row];
            float lse = *LogSums.Row(row), dy = *Dy.Row(row);
            if (!Names(label, n))
            {
                for (var j = 0; j < n; j += 16) Put(Vector512<float>.Zero, dx, j, n, Accumulate);
                return;
            }
            var old = dx[label];
            for (var j = 0; j < n; j += 16) Put(Set(dy) * (VectorMath.Exp(RowMath.Load(x, j, n) - Set(lse)) - Set(Spread)), dx, j, n, Accumulate);
            var slope = dy * (VectorMath.Exp(x[label] - lse) - Spread - Rest);
            dx[label] = Accumulate ? old + slope : slope;
        }
    }

    public void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate)
    {
        Check.Owned(this, "RowDots", a, b, y);
        Check.Same("RowDots", "A", a, "B", b);
        Check.Shape("RowDots", "Y", y, a.Rows, 1);
        EachRow(new RowDotsOp { A = new(a), B = new(b), Y = new(y), Accumulate = accumulate }, a);
    }

    struct RowDotsOp : IRowOp
    {
        public Grid A, B, Y;
        public bool Accumulate;
        public readonly void Row(int row)
        {
            var dot = Dot(A.Row(row), B.Row(row), A.Columns);
            *Y.Row(row) = Accumulate ? *Y.Row(row) + dot : dot;
        }
    }

    public void RunSquares(Matrix x, Indices offsets, Matrix y)
    {
        Check.RunSquares(this, x, offsets, y);
        _faults.Look("RunSquares", Integers(offsets), x.Columns, null);
        EachRow(new RunSquaresOp { X = new(x), Offsets = PointerTo(offsets), Y = new(y) }, y.Rows, x.Columns / Math.Max(1, y.Rows));
    }

    struct RunSquaresOp : IRowOp
    {
        public Grid X, Y;
        public int* Offsets;

        public readonly void Row(int row)
        {
            int start = Math.Clamp(Offsets[row], 0, X.Columns), end = Math.Clamp(Offsets[row + 1], start, X.Columns);
            *Y.Row(row) = Dot(X.First + start, X.First + start, end - start);
        }
    }

    public void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate)
    {
        Check.Owned(this, "ScaleRows", x, s, y);
        Check.Shape("ScaleRows", "S", s, x.Rows, 1);
        Check.Same("ScaleRows", "X", x, "Y", y);
        EachRow(new ScaleRowsOp { X = new(x), S = new(s), Y = new(y), Accumulate = accumulate }, x);
    }

    struct ScaleRowsOp : IRowOp
    {
        public Grid X, S, Y;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), y = Y.Row(row);
            var s = Set(*S.Row(row));
            var n = X.Columns;
            for (var j = 0; j < n; j += 16)
                RowMath.Store(Accumulate ? VectorMath.Fma(RowMath.Load(x, j, n), s, RowMath.Load(y, j, n)) : RowMath.Load(x, j, n) * s, y, j, n);
        }
    }

    static int* PointerTo(Indices indices) => (int*)((CpuStorage)indices.Storage).Pointer + indices.Offset;
}
