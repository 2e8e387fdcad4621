using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace SparseExperts.Cpu;

/// <summary>Copies a block of B into panels: panel p holds columns p·width … of every k, one k after another, zeros beyond the edge.</summary>
static unsafe class Packing
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Panels(float* b, long stride, bool transposed, int depth, int columns, int width, float* panels)
    {
        for (var j = 0; j < columns; j += width, panels += (long)width * depth)
        {
            var count = Math.Min(width, columns - j);
            if (transposed) Transposed(b + j * stride, stride, depth, count, width, panels);
            else Straight(b + j, stride, depth, count, width, panels);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Straight(float* b, long stride, int depth, int count, int width, float* panel)
    {
        for (var k = 0; k < depth; k++, b += stride, panel += width)
        {
            var j = 0;
            for (; j + 16 <= count; j += 16) Vector512.Load(b + j).Store(panel + j);
            for (; j < count; j++) panel[j] = b[j];
            for (; j < width; j++) panel[j] = 0;
        }
    }

    /// <summary>Rows of B run along k: 16 × 16 blocks are transposed in registers, the rest one by one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Transposed(float* b, long stride, int depth, int count, int width, float* panel)
    {
        var j = 0;
        if (Avx512F.IsSupported)
            for (; j + 16 <= count; j += 16)
            {
                var k = 0;
                for (; k + 16 <= depth; k += 16) Transpose16(b + j * stride + k, stride, panel + (long)k * width + j, width);
                for (; k < depth; k++)
                    for (var i = 0; i < 16; i++) panel[(long)k * width + j + i] = b[(j + i) * stride + k];
            }
        for (; j < width; j++)
            for (var k = 0; k < depth; k++) panel[(long)k * width + j] = j < count ? b[j * stride + k] : 0;
    }

    /// <summary>Sixteen rows of sixteen floats, transposed: pairs, quads, then 128-bit quarters are exchanged.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose16(float* s, long stride, float* to, long step)
    {
        Quad(s, stride, out var a0, out var a1, out var a2, out var a3);
        Quad(s + 4 * stride, stride, out var b0, out var b1, out var b2, out var b3);
        Quad(s + 8 * stride, stride, out var c0, out var c1, out var c2, out var c3);
        Quad(s + 12 * stride, stride, out var d0, out var d1, out var d2, out var d3);
        Quarters(a0, b0, c0, d0, to, step);
        Quarters(a1, b1, c1, d1, to + step, step);
        Quarters(a2, b2, c2, d2, to + 2 * step, step);
        Quarters(a3, b3, c3, d3, to + 3 * step, step);
    }

    /// <summary>Four rows become four registers; quarter q of register i holds column 4q + i of the four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Quad(float* s, long stride, out Vector512<float> x0, out Vector512<float> x1, out Vector512<float> x2, out Vector512<float> x3)
    {
        Vector512<float> r0 = Vector512.Load(s), r1 = Vector512.Load(s + stride), r2 = Vector512.Load(s + 2 * stride), r3 = Vector512.Load(s + 3 * stride);
        Vector512<double> low01 = Avx512F.UnpackLow(r0, r1).AsDouble(), high01 = Avx512F.UnpackHigh(r0, r1).AsDouble();
        Vector512<double> low23 = Avx512F.UnpackLow(r2, r3).AsDouble(), high23 = Avx512F.UnpackHigh(r2, r3).AsDouble();
        x0 = Avx512F.UnpackLow(low01, low23).AsSingle();
        x1 = Avx512F.UnpackHigh(low01, low23).AsSingle();
        x2 = Avx512F.UnpackLow(high01, high23).AsSingle();
        x3 = Avx512F.UnpackHigh(high01, high23).AsSingle();
    }

    /// <summary>Stores the four columns (every fourth one) whose quarters lie in the registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Quarters(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* to, long step)
    {
        Vector512<float> even1 = Avx512F.Shuffle4x128(a, b, 0x88), odd1 = Avx512F.Shuffle4x128(a, b, 0xdd);
        Vector512<float> even2 = Avx512F.Shuffle4x128(c, d, 0x88), odd2 = Avx512F.Shuffle4x128(c, d, 0xdd);
        Avx512F.Shuffle4x128(even1, even2, 0x88).Store(to);
        Avx512F.Shuffle4x128(odd1, odd2, 0x88).Store(to + 4 * step);
        Avx512F.Shuffle4x128(even1, even2, 0xdd).Store(to + 8 * step);
        Avx512F.Shuffle4x128(odd1, odd2, 0xdd).Store(to + 12 * step);
    }
}
