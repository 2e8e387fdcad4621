using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

/// <summary>Sums over tokens in the order of <see cref="SumTree"/>: each part of the outputs keeps its own stack of partial sums.</summary>
public sealed unsafe partial class CpuBackend
{
    /// <summary>Y += X.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void AddTo(float* y, long strideY, float* x, long strideX, int rows, int columns)
    {
        if (strideY == columns && strideX == columns) (rows, columns) = (1, rows * columns);
        for (var r = 0; r < rows; r++, y += strideY, x += strideX)
        {
            var j = 0;
            for (; j + 16 <= columns; j += 16) (Vector512.Load(y + j) + Vector512.Load(x + j)).Store(y + j);
            if (j < columns) VectorMath.Store(VectorMath.Load(y + j, columns - j) + VectorMath.Load(x + j, columns - j), y + j, columns - j);
        }
    }

    /// <summary>Partial sums of sixteen columns.</summary>
    ref struct ColumnPartials(Span<V> sums)
    {
        readonly Span<V> _sums = sums;
        int _count;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Push(V chain, int joins)
        {
            _sums[_count++] = chain;
            for (; joins > 0; joins--) _sums[--_count - 1] += _sums[_count];
        }

        public readonly V Total => _count == 0 ? V.Zero : _sums[0];
    }

    public void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate)
    {
        Check.Owned(this, "SumColumns", x, y);
        Check.Shape("SumColumns", "Y", y, 1, x.Columns);
        Check.Sequence("SumColumns", sequence);
        EachColumn(new SumColumnsOp { X = new(x), Y = new(y), Tree = new(x.Rows, sequence), Accumulate = accumulate }, x);
    }

    struct SumColumnsOp : IColumnOp
    {
        public Grid X, Y;
        public SumTree Tree;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Block(int column)
        {
            var n = X.Columns;
            var sum = new ColumnPartials(stackalloc V[Tree.Height]);
            for (var leaf = 0; leaf < Tree.Leaves; leaf++)
            {
                var (start, count, joins) = Tree[leaf];
                var chain = V.Zero;
                for (var r = start; r < start + count; r++) chain += RowMath.Load(X.Row(r), column, n);
                sum.Push(chain, joins);
            }
            RowMath.Put(sum.Total, Y.First, column, n, Accumulate);
        }
    }

    public void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence)
    {
        Check.RowIndices(this, "ScatterAddTokens", x, y, rows, x.Rows);
        Check.Sequence("ScatterAddTokens", sequence);
        var index = Integers(rows);
        _faults.Look("ScatterAddTokens", index, y.Rows, -1);

        // Rows sorted by index, equal ones in ascending order: after counting, ends[i] moves from the start of i's rows to their end.
        int[] ends = ArrayPool<int>.Shared.Rent(y.Rows + 1), sorted = ArrayPool<int>.Shared.Rent(Math.Max(1, index.Length));
        Array.Clear(ends, 0, y.Rows + 1);
        foreach (var i in index)
            if (Names(i, y.Rows)) ends[i + 1]++;
        for (var i = 0; i < y.Rows; i++) ends[i + 1] += ends[i];
        for (var r = 0; r < index.Length; r++)
            if (Names(index[r], y.Rows)) sorted[ends[index[r]]++] = r;
        const int perPart = 32;
        fixed (int* order = sorted, last = ends)
            Workers.Run((y.Rows + perPart - 1) / perPart, new ScatterAddTokensJob
            {
                X = new(x),
                Y = new(y),
                Tree = new(x.Rows, sequence),
                Order = order,
                Ends = last,
                PerPart = perPart,
            });
        ArrayPool<int>.Shared.Return(ends);
        ArrayPool<int>.Shared.Return(sorted);
    }

    /// <summary>Destinations in parallel; the partial sums of one are rows of a stack.</summary>
    struct ScatterAddTokensJob : IJob
    {
        public Grid X, Y;
        public SumTree Tree;
        public int* Order, Ends;
        public int PerPart;

        public readonly void Run(int part)
        {
            var stack = Scratch<SumTree>.Of((long)X.Columns * Math.Max(1, Tree.Height));
            for (int i = part * PerPart, end = Math.Min(Y.Rows, i + PerPart); i < end; i++)
            {
                var from = i == 0 ? 0 : Ends[i - 1];
                if (from == Ends[i]) continue;
                Sum(Tree.Root, from, Ends[i], stack);
                AddTo(Y.Row(i), Y.Columns, stack, X.Columns, 1, X.Columns);
            }
        }

        /// <summary>
        /// The sum of rows Order[from … to − 1], all within <paramref name="node"/>. A half without any of them would add 0, and is left out.
        /// </summary>
        readonly void Sum(SumNode node, int from, int to, float* sum)
        {
            while (!node.IsBlock && to - from > 1)
            {
                var right = node.Right;
                var middle = from;
                while (middle < to && Order[middle] < right.Start) middle++;
                if (middle == to) node = node.Left;
                else if (middle == from) node = right;
                else
                {
                    Sum(node.Left, from, middle, sum);
                    Sum(right, middle, to, sum + X.Columns);
                    AddTo(sum, X.Columns, sum + X.Columns, X.Columns, 1, X.Columns);
                    return;
                }
            }
            var n = X.Columns;
            new Span<float>(sum, n).Clear();
            for (var i = from; i < to; i++) AddTo(sum, n, X.Row(Order[i]), n, 1, n);
        }
    }
}

/// <summary>A thread's own memory, one for every use, since uses may overlap.</summary>
static unsafe class Scratch<TUse>
{
    [ThreadStatic] static float* t_numbers;
    [ThreadStatic] static long t_length;

    /// <summary>At least <paramref name="length"/> numbers, valid until the thread asks again.</summary>
    public static float* Of(long length)
    {
        if (t_length < length)
        {
            NativeMemory.AlignedFree(t_numbers);
            t_numbers = (float*)NativeMemory.AlignedAlloc((nuint)length * sizeof(float), 64);
            t_length = length;
        }
        return t_numbers;
    }
}
