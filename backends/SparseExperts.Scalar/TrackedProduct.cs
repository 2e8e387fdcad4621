using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Scalar;

/// <summary>
/// The product of <see cref="ScalarBackend{T}"/> for <see cref="Tracked"/> numbers, many outputs of a row at a time and strips of columns
/// side by side; checks of whole layers spend their time here. Values are the same ascending chain of fused multiply-adds, bit for bit;
/// beside it run what the terms carry, Σ |a|·δb + δa·(|b| + δb), and their size with it, Σ (|a| + δa)(|b| + δb).
/// </summary>
static class TrackedProduct
{
    const long WorthThreads = 1 << 20;

    const int Lanes = 8, Strip = 4 * Lanes;

    /// <summary>C = op(A)·op(B), or C + op(A)·op(B).</summary>
    /// <param name="operandError">By how much of itself a factor may be rounded first.</param>
    public static void Multiply(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate, double operandError)
    {
        if (operandError == 0 && (Moves(a) || Moves(b)))
        {
            Move(a, transposeA, b, transposeB, c, accumulate);
            return;
        }
        using var left = new Left(a, transposeA, operandError);
        var strips = (c.Columns + Strip - 1) / Strip;
        void Of(int s) => OneStrip(left, b, transposeB, c, accumulate, s * Strip, operandError);
        if (strips > 1 && (long)c.Count * left.Depth > WorthThreads) Parallelism.For(strips, Of);
        else for (var s = 0; s < strips; s++) Of(s);
    }

    /// <summary>A product with no other numbers than 0 and powers of two sums, turns and moves the other factor's own sums, which stay open.</summary>
    static void Move(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        View<Tracked> x = new(a), y = new(b), z = new(c);
        var depth = transposeA ? x.Rows : x.Columns;
        for (var i = 0; i < z.Rows; i++)
            for (var j = 0; j < z.Columns; j++)
            {
                var sum = accumulate ? z[i, j] : default;
                for (var k = 0; k < depth; k++) sum = Tracked.Fma(transposeA ? x[k, i] : x[i, k], transposeB ? y[j, k] : y[k, j], sum);
                z[i, j] = sum;
            }
    }

    static bool Moves(Matrix matrix)
    {
        View<Tracked> x = new(matrix);
        for (var r = 0; r < x.Rows; r++)
            for (var j = 0; j < x.Columns; j++)
                if (!x[r, j].IsZeroOrPower) return false;
        return true;
    }

    /// <summary>Factors A row by row, with their bounds, how many of each row are not 0, and what all are multiples of.</summary>
    sealed class Left : IDisposable
    {
        readonly (double Value, double Error)[] _factors;
        readonly int[] _terms;
        readonly short[] _units;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public Left(Matrix a, bool transpose, double operandError)
        {
            View<Tracked> x = new(a);
            int rows = transpose ? x.Columns : x.Rows;
            Depth = transpose ? x.Rows : x.Columns;
            (_factors, _terms, _units) = (ArrayPool<(double, double)>.Shared.Rent(rows * Depth), new int[rows], new short[rows]);
            Array.Fill(_units, short.MaxValue);
            for (var i = 0; i < rows; i++)
                for (var k = 0; k < Depth; k++)
                {
                    ref var factor = ref transpose ? ref x[k, i] : ref x[i, k];
                    var (error, unit) = factor.AsFactor(operandError);
                    _factors[i * Depth + k] = (factor.Value, error);
                    if (factor.Value != 0 || error != 0) _terms[i]++;
                    _units[i] = Math.Min(_units[i], unit);
                }
        }

        public int Depth { get; }
        public ReadOnlySpan<(double Value, double Error)> Row(int row) => _factors.AsSpan(row * Depth, Depth);
        public int Terms(int row) => _terms[row];
        public short Unit(int row) => _units[row];
        public void Dispose() => ArrayPool<(double, double)>.Shared.Return(_factors);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void OneStrip(Left left, Matrix b, bool transposeB, Matrix c, bool accumulate, int first, double operandError)
    {
        View<Tracked> y = new(b), z = new(c);
        int depth = left.Depth, width = Math.Min(Strip, z.Columns - first);

        // The strip of B row by row: values, bounds, and their sum |b| + δb; what hangs over is 0.
        var packed = ArrayPool<double>.Shared.Rent(3 * depth * Strip);
        var strip = packed.AsSpan(0, 3 * depth * Strip);
        Span<int> terms = stackalloc int[Strip];
        Span<short> units = stackalloc short[Strip];
        terms.Clear();
        units.Fill(short.MaxValue);
        if (width < Strip) strip.Clear();
        for (var k = 0; k < depth; k++)
        {
            var row = strip.Slice(3 * k * Strip, 3 * Strip);
            for (var j = 0; j < width; j++)
            {
                ref var factor = ref transposeB ? ref y[first + j, k] : ref y[k, first + j];
                var value = factor.Value;
                var (error, unit) = factor.AsFactor(operandError);
                (row[j], row[Strip + j], row[2 * Strip + j]) = (value, error, Math.Abs(value) + error);
                if (value != 0 || error != 0) terms[j]++;
                units[j] = Math.Min(units[j], unit);
            }
        }

        Span<double> sums = stackalloc double[3 * Strip];
        for (var i = 0; i < z.Rows; i++)
        {
            sums.Clear();
            for (var j = 0; accumulate && j < width; j++) sums[j] = z[i, first + j].Value;
            Chain(left.Row(i), strip, sums);
            for (var j = 0; j < width; j++)
            {
                if (!double.IsFinite(sums[j]))
                {
                    var column = transposeB ? b.RowRange(first + j, 1) : b.ColumnRange(first + j, 1);
                    z[i, first + j] = Special(left.Row(i), column, accumulate ? z[i, first + j] : default, operandError);
                    continue;
                }
                var sum = Tracked.Products(sums[j], sums[Strip + j], sums[2 * Strip + j], Math.Min(left.Terms(i), terms[j]),
                    Tracked.UnitOfProduct(left.Unit(i), units[j]));
                z[i, first + j] = accumulate ? z[i, first + j].Joined(sum) : sum;
            }
        }
        ArrayPool<double>.Shared.Return(packed);
    }

    /// <summary>A sum that is ∞ or NaN, term by term: whether it must be.</summary>
    static Tracked Special(ReadOnlySpan<(double Value, double Error)> row, Matrix column, Tracked sum, double operandError)
    {
        View<Tracked> y = new(column);
        for (var k = 0; k < row.Length; k++)
        {
            var factor = y.Rows == 1 ? y[0, k] : y[k, 0];
            if (operandError > 0) factor = new(factor.Value, factor.AsFactor(operandError).Error);
            sum = Tracked.Fma(new(row[k].Value, row[k].Error), factor, sum);
        }
        return sum;
    }

    /// <param name="sums">Values, what the terms carry, and their size, a strip of each.</param>
    static void Chain(ReadOnlySpan<(double Value, double Error)> row, ReadOnlySpan<double> strip, Span<double> sums)
    {
        Span<double> carried = sums[Strip..], mass = sums[(2 * Strip)..];
        Vector512<double> v0 = At(sums, 0), v1 = At(sums, 1), v2 = At(sums, 2), v3 = At(sums, 3);
        Vector512<double> e0 = default, e1 = default, e2 = default, e3 = default;
        Vector512<double> m0 = default, m1 = default, m2 = default, m3 = default;
        for (var k = 0; k < row.Length; k++)
        {
            Vector512<double> a = Vector512.Create(row[k].Value), error = Vector512.Create(row[k].Error);
            var b = strip.Slice(3 * k * Strip, 3 * Strip);
            Step(a, error, b, 0, ref v0, ref e0, ref m0);
            Step(a, error, b, 1, ref v1, ref e1, ref m1);
            Step(a, error, b, 2, ref v2, ref e2, ref m2);
            Step(a, error, b, 3, ref v3, ref e3, ref m3);
        }
        v0.CopyTo(sums); v1.CopyTo(sums[Lanes..]); v2.CopyTo(sums[(2 * Lanes)..]); v3.CopyTo(sums[(3 * Lanes)..]);
        e0.CopyTo(carried); e1.CopyTo(carried[Lanes..]); e2.CopyTo(carried[(2 * Lanes)..]); e3.CopyTo(carried[(3 * Lanes)..]);
        m0.CopyTo(mass); m1.CopyTo(mass[Lanes..]); m2.CopyTo(mass[(2 * Lanes)..]); m3.CopyTo(mass[(3 * Lanes)..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Step(
        Vector512<double> a, Vector512<double> aError, ReadOnlySpan<double> b, int vector,
        ref Vector512<double> value, ref Vector512<double> carried, ref Vector512<double> mass)
    {
        Vector512<double> size = Vector512.Abs(a), bSize = At(b[(2 * Strip)..], vector);
        value = Vector512.FusedMultiplyAdd(a, At(b, vector), value);
        carried = Vector512.FusedMultiplyAdd(size, At(b[Strip..], vector), Vector512.FusedMultiplyAdd(aError, bSize, carried));
        mass = Vector512.FusedMultiplyAdd(size + aError, bSize, mass);
    }

    static Vector512<double> At(ReadOnlySpan<double> numbers, int vector) => Vector512.Create(numbers[(vector * Lanes)..]);
}
