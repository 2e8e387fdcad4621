using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace SparseExperts.Cpu;

/// <summary>
/// One matrix product on one thread: C[M,N] (+)= op(A)·op(B). B is packed block by block into panels of a kernel's width, A is read
/// in place, and the innermost sweep runs over the packed panels so that C is written along its rows. Between blocks of k the
/// accumulators are stored and loaded again, so every output stays one ascending chain of fused multiply-adds.
/// </summary>
unsafe struct Product
{
    public float* A, B, C;
    public long StrideA, StrideB, StrideC;
    public int M, N, K;
    public bool TransposeA, TransposeB, Accumulate;

    const int BlockK = 256, BlockN = 512;

    [ThreadStatic] static float* t_panels;

    public readonly double Work => 2.0 * M * N * K;

    /// <summary>Rows [start, start + count) of the product.</summary>
    public readonly Product Rows(int start, int count) =>
        this with { A = TransposeA ? A + start : A + start * StrideA, C = C + start * StrideC, M = count };

    /// <summary>Columns [start, start + count) of the product.</summary>
    public readonly Product Columns(int start, int count) =>
        this with { B = TransposeB ? B + start * StrideB : B + start, C = C + start, N = count };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run()
    {
        if (M == 0 || N == 0) return;
        if (K == 0) { if (!Accumulate) Clear(); return; }
        if (Avx512F.IsSupported) Blocked(16, 12);
        else if (Avx2.IsSupported && System.Runtime.Intrinsics.X86.Fma.IsSupported) Blocked(8, 6);
        else Plain();
    }

    readonly void Blocked(int lanes, int rows)
    {
        if (t_panels == null) t_panels = (float*)NativeMemory.AlignedAlloc((BlockK + 16) * (BlockN + 64) * sizeof(float), 64);
        var width = N <= lanes ? lanes : 2 * lanes;
        for (var jc = 0; jc < N; jc += BlockN)
            for (var pc = 0; pc < K; pc += BlockK)
            {
                int columns = Math.Min(BlockN, N - jc), depth = Math.Min(BlockK, K - pc);
                var load = Accumulate || pc > 0;
                var b = TransposeB ? B + jc * StrideB + pc : B + pc * StrideB + jc;
                var packed = TransposeB || columns % width != 0 || M > 2 * rows;
                if (packed) Packing.Panels(b, StrideB, TransposeB, depth, columns, width, t_panels);
                for (var ic = 0; ic < M;)
                {
                    var height = MicroKernels.Height(M - ic, rows);
                    var kernel = MicroKernels.Find(lanes * 32, height, width / lanes, TransposeA);
                    var a = TransposeA ? A + pc * StrideA + ic : A + ic * StrideA + pc;
                    var c = C + ic * StrideC + jc;
                    for (var jr = 0; jr < columns; jr += width)
                    {
                        var panel = packed ? t_panels + (long)jr * depth : b + jr;
                        var step = packed ? width : StrideB;
                        if (columns - jr >= width) kernel(depth, a, StrideA, panel, step, c + jr, StrideC, load);
                        else Edge(kernel, depth, a, StrideA, panel, step, c + jr, StrideC, load, height, columns - jr, width);
                    }
                    ic += height;
                }
            }
    }

    /// <summary>A tile that sticks out at the right goes through a small square of its own.</summary>
    [SkipLocalsInit]
    static void Edge(delegate*<long, float*, long, float*, long, float*, long, bool, void> kernel, long depth, float* a, long lda,
        float* panel, long step, float* c, long ldc, bool load, int height, int columns, int width)
    {
        var tile = stackalloc float[12 * 32];
        if (load)
            for (var i = 0; i < height; i++)
                for (var j = 0; j < width; j++) tile[i * width + j] = j < columns ? c[i * ldc + j] : 0;
        kernel(depth, a, lda, panel, step, tile, width, load);
        for (var i = 0; i < height; i++) new Span<float>(tile + i * width, columns).CopyTo(new Span<float>(c + i * ldc, columns));
    }

    /// <summary>Without vector fused multiply-add: the same chains, k outside the columns so that memory is read in order.</summary>
    readonly void Plain()
    {
        for (var i = 0; i < M; i++)
        {
            var c = C + i * StrideC;
            if (!Accumulate) new Span<float>(c, N).Clear();
            if (TransposeB)
                for (var j = 0; j < N; j++)
                    for (var k = 0; k < K; k++) c[j] = MathF.FusedMultiplyAdd(TransposeA ? A[k * StrideA + i] : A[i * StrideA + k], B[j * StrideB + k], c[j]);
            else
                for (var k = 0; k < K; k++)
                {
                    var a = TransposeA ? A[k * StrideA + i] : A[i * StrideA + k];
                    for (var j = 0; j < N; j++) c[j] = MathF.FusedMultiplyAdd(a, B[k * StrideB + j], c[j]);
                }
        }
    }

    readonly void Clear()
    {
        for (var i = 0; i < M; i++) new Span<float>(C + i * StrideC, N).Clear();
    }
}
