using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

/// <summary>A matrix as the kernels see it.</summary>
unsafe struct Grid(Matrix matrix)
{
    public float* First = CpuBackend.Pointer(matrix);
    public long Stride = matrix.Stride;
    public int Rows = matrix.Rows, Columns = matrix.Columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float* Row(int row) => First + row * Stride;
}

/// <summary>Sixteen lanes of a row that may end inside them, and the canonical reductions along rows.</summary>
static unsafe class RowMath
{
    /// <summary>Elements j … j + 15 of a row of n, with <paramref name="beyond"/> behind the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load(float* row, int j, int n, float beyond = 0)
    {
        if (n - j >= 16) return Vector512.Load(row + j);
        var value = VectorMath.Load(row + j, n - j);
        return beyond == 0 ? value : Vector512.ConditionalSelect(Inside(n - j), value, Vector512.Create(beyond));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V value, float* row, int j, int n)
    {
        if (n - j >= 16) value.Store(row + j);
        else VectorMath.Store(value, row + j, n - j);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Put(V value, float* row, int j, int n, bool accumulate) => Store(accumulate ? Load(row, j, n) + value : value, row, j, n);

    /// <summary>The value, with zeros in the lanes behind the end of the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Clip(V value, int j, int n) => n - j >= 16 ? value : Vector512.ConditionalSelect(Inside(n - j), value, V.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Inside(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    /// <summary>The largest element, −∞ of none; NaN where there is one.</summary>
    public static float Max(float* row, int n) => n == 0 ? float.NegativeInfinity : TensorPrimitives.Max(new ReadOnlySpan<float>(row, n));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(float* row, int n)
    {
        var sum = V.Zero;
        for (var j = 0; j < n; j += 16) sum += Load(row, j, n);
        return VectorMath.Join(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Dot(float* a, float* b, int n)
    {
        var sum = V.Zero;
        for (var j = 0; j < n; j += 16) sum = VectorMath.Fma(Load(a, j, n), Load(b, j, n), sum);
        return VectorMath.Join(sum);
    }

    /// <summary>Σ e^{x_j − max}.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ExpSum(float* row, int n, float max)
    {
        V sum = V.Zero, top = Vector512.Create(max);
        for (var j = 0; j < n; j += 16) sum += VectorMath.Exp(Load(row, j, n, float.NegativeInfinity) - top);
        return VectorMath.Join(sum);
    }
}

/// <summary>An op that treats rows one by one.</summary>
interface IRowOp { void Row(int row); }

/// <summary>Rows in parts of a few thousand elements.</summary>
struct RowJob<TOp>(TOp op, int rows, int columns) : IJob where TOp : unmanaged, IRowOp
{
    readonly TOp _op = op;
    readonly int _perPart = Math.Max(1, 8192 / Math.Max(1, columns));

    public readonly int Parts => (rows + _perPart - 1) / _perPart;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(int part)
    {
        for (int row = part * _perPart, end = Math.Min(rows, row + _perPart); row < end; row++) _op.Row(row);
    }
}

/// <summary>An op that treats blocks of 16 columns one by one, each downwards through all rows.</summary>
interface IColumnOp { void Block(int column); }

struct ColumnJob<TOp>(TOp op) : IJob where TOp : unmanaged, IColumnOp
{
    readonly TOp _op = op;
    public readonly void Run(int part) => _op.Block(part * 16);
}
