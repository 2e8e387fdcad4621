using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Scalar;

/// <summary>
/// The product of <see cref="ScalarBackend{T}"/> for <see cref="Tracked"/> numbers, many outputs of a row at a time and strips of columns
/// side by side; checks of whole layers spend their time here. Values are the same ascending chain of fused multiply-adds, bit for bit. The
/// bound is the same recurrence with its own terms joined, e′ = (1 + u)(e + |a|·δb + δa·(|b| + δb)) + u·|v′| + tiny, and infinite if a partial
/// sum may have left float32's range.
/// </summary>
static class TrackedProduct
{
    const long WorthThreads = 1 << 20;

    const int Lanes = 8, Strip = 4 * Lanes;

    /// <summary>C = op(A)·op(B), or C + op(A)·op(B).</summary>
    public static void Multiply(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        var strips = (c.Columns + Strip - 1) / Strip;
        void Of(int s) => OneStrip(a, transposeA, b, transposeB, c, accumulate, s * Strip);
        if (strips > 1 && (long)c.Count * (transposeA ? a.Rows : a.Columns) > WorthThreads) Parallelism.For(strips, Of);
        else for (var s = 0; s < strips; s++) Of(s);
    }

    static void OneStrip(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate, int first)
    {
        View<Tracked> x = new(a), y = new(b), z = new(c);
        int depth = transposeA ? x.Rows : x.Columns, width = Math.Min(Strip, z.Columns - first);

        // The strip of B row by row: values, bounds, and their sum |b| + δb; what hangs over is 0.
        var packed = ArrayPool<double>.Shared.Rent(3 * depth * Strip);
        var strip = packed.AsSpan(0, 3 * depth * Strip);
        if (width < Strip) strip.Clear();
        for (var k = 0; k < depth; k++)
        {
            var row = strip.Slice(3 * k * Strip, 3 * Strip);
            for (var j = 0; j < width; j++)
            {
                var (value, error) = transposeB ? y[first + j, k] : y[k, first + j];
                (row[j], row[Strip + j], row[2 * Strip + j]) = (value, error, Math.Abs(value) + error);
            }
        }

        Span<Tracked> sums = stackalloc Tracked[Strip];
        for (var i = 0; i < z.Rows; i++)
        {
            for (var j = 0; j < Strip; j++) sums[j] = accumulate && j < width ? z[i, first + j] : default;
            Chain(x, transposeA, i, depth, strip, sums);
            for (var j = 0; j < width; j++) z[i, first + j] = sums[j];
        }
        ArrayPool<double>.Shared.Return(packed);
    }

    static void Chain(View<Tracked> x, bool transpose, int row, int depth, ReadOnlySpan<double> strip, Span<Tracked> sums)
    {
        Span<double> v = stackalloc double[Strip], e = stackalloc double[Strip], top = stackalloc double[Strip];
        for (var j = 0; j < Strip; j++) (v[j], e[j]) = sums[j];
        Vector512<double> v0 = At(v, 0), v1 = At(v, 1), v2 = At(v, 2), v3 = At(v, 3);
        Vector512<double> e0 = At(e, 0), e1 = At(e, 1), e2 = At(e, 2), e3 = At(e, 3);
        Vector512<double> t0 = default, t1 = default, t2 = default, t3 = default;
        for (var k = 0; k < depth; k++)
        {
            ref var factor = ref transpose ? ref x[k, row] : ref x[row, k];
            Vector512<double> a = Vector512.Create(factor.Value), error = Vector512.Create(factor.Error);
            var b = strip.Slice(3 * k * Strip, 3 * Strip);
            Step(a, error, b, 0, ref v0, ref e0, ref t0);
            Step(a, error, b, 1, ref v1, ref e1, ref t1);
            Step(a, error, b, 2, ref v2, ref e2, ref t2);
            Step(a, error, b, 3, ref v3, ref e3, ref t3);
        }
        v0.CopyTo(v); v1.CopyTo(v[Lanes..]); v2.CopyTo(v[(2 * Lanes)..]); v3.CopyTo(v[(3 * Lanes)..]);
        e0.CopyTo(e); e1.CopyTo(e[Lanes..]); e2.CopyTo(e[(2 * Lanes)..]); e3.CopyTo(e[(3 * Lanes)..]);
        t0.CopyTo(top); t1.CopyTo(top[Lanes..]); t2.CopyTo(top[(2 * Lanes)..]); t3.CopyTo(top[(3 * Lanes)..]);
        for (var j = 0; j < Strip; j++) sums[j] = new(v[j], top[j] + e[j] > float.MaxValue ? double.PositiveInfinity : e[j]);
    }

    /// <summary><see cref="Tracked.Fma"/>, lane by lane; <paramref name="top"/> is the largest partial sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Step(Vector512<double> a, Vector512<double> aError, ReadOnlySpan<double> b, int vector, ref Vector512<double> value, ref Vector512<double> error, ref Vector512<double> top)
    {
        var inherited = Vector512.FusedMultiplyAdd(Vector512.Abs(a), At(b[Strip..], vector), Vector512.FusedMultiplyAdd(aError, At(b[(2 * Strip)..], vector), error));
        value = Vector512.FusedMultiplyAdd(a, At(b, vector), value);
        var magnitude = Vector512.Abs(value);
        top = Vector512.Max(top, magnitude);
        error = Vector512.FusedMultiplyAdd(inherited, Vector512.Create(1 + Tracked.U), Vector512.FusedMultiplyAdd(magnitude, Vector512.Create(Tracked.U), Vector512.Create(Tracked.Tiny)));
    }

    static Vector512<double> At(ReadOnlySpan<double> numbers, int vector) => Vector512.Create(numbers[(vector * Lanes)..]);
}
