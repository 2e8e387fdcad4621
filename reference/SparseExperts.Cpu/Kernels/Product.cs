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
    public bool TransposeA, TransposeB;
    public Start Start;

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
        if (K == 0) { if (Start != Start.AtC) Nothing(); return; }
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
                var start = pc > 0 ? Start.AtC : Start;
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
                        if (columns - jr >= width) kernel(depth, a, StrideA, panel, step, c + jr, StrideC, start);
                        else Edge(kernel, depth, a, StrideA, panel, step, c + jr, StrideC, start, height, columns - jr, width);
                    }
                    ic += height;
                }
            }
    }

    /// <summary>A tile that sticks out at the right goes through a small square of its own.</summary>
    [SkipLocalsInit]
    static void Edge(delegate*<long, float*, long, float*, long, float*, long, Start, void> kernel, long depth, float* a, long lda,
        float* panel, long step, float* c, long ldc, Start start, int height, int columns, int width)
    {
        var tile = stackalloc float[12 * 32];
        if (start != Start.AtZero)
            for (var i = 0; i < height; i++)
                for (var j = 0; j < width; j++) tile[i * width + j] = j < columns ? c[i * ldc + j] : 0;
        kernel(depth, a, lda, panel, step, tile, width, start);
        for (var i = 0; i < height; i++) new Span<float>(tile + i * width, columns).CopyTo(new Span<float>(c + i * ldc, columns));
    }

    /// <summary>Terms [start, start + count) of the product's sums.</summary>
    public readonly Product Terms(int start, int count) => this with
    {
        A = TransposeA ? A + start * StrideA : A + start,
        B = TransposeB ? B + start : B + start * StrideB,
        K = count,
    };

    /// <summary>Rows and columns of C whose partial sums stay in the cache together.</summary>
    const int TileRows = 240, TileColumns = 512;

    /// <summary>
    /// The product with its sums in the order of a tree: every block a chain, of which the first starts as the product does, halves added. In tiles,
    /// each once through all blocks.
    /// </summary>
    public readonly void Run(SumTree tree)
    {
        // One chain that is longer than a block of the kernels is added when it is whole.
        if (tree.Leaves <= 1 && (Start != Start.AtZeroThenC || K <= BlockK)) { Run(); return; }
        for (var i = 0; i < M; i += TileRows)
            for (var j = 0; j < N; j += TileColumns)
                Rows(i, Math.Min(TileRows, M - i)).Columns(j, Math.Min(TileColumns, N - j)).RunTile(tree);
    }

    /// <summary>Partial sums lie on a stack whose lowest is C itself, unless C is to be added at the end. A second half is added as it is computed.</summary>
    readonly void RunTile(SumTree tree)
    {
        var size = (long)M * N;
        var levels = Scratch<SumTree>.Of(size * (tree.Height + 1));
        var inPlace = Start != Start.AtZeroThenC;
        var count = 0;
        for (var leaf = 0; leaf < tree.Leaves; leaf++)
        {
            var (first, terms, joins) = tree[leaf];
            if (joins > 0) count--;
            var lowest = count == 0 && inPlace;
            (Terms(first, terms) with
            {
                C = lowest ? C : levels + count * size,
                StrideC = lowest ? StrideC : N,
                Start = joins > 0 ? Start.AtZeroThenC : leaf == 0 && inPlace ? Start : Start.AtZero,
            }).Run();
            for (; joins > 1; joins--)
            {
                count--;
                lowest = count == 0 && inPlace;
                CpuBackend.AddTo(lowest ? C : levels + count * size, lowest ? StrideC : N, levels + (count + 1) * size, N, M, N);
            }
            count++;
        }
        if (!inPlace) CpuBackend.AddTo(C, StrideC, levels, N, M, N);
    }

    /// <summary>Without vector fused multiply-add: the same chains, k outside the columns so that memory is read in order.</summary>
    readonly void Plain()
    {
        for (var i = 0; i < M; i++)
        {
            var c = C + i * StrideC;
            if (Start == Start.AtZeroThenC)
            {
                for (var j = 0; j < N; j++)
                {
                    var sum = 0f;
                    for (var k = 0; k < K; k++)
                    {
                        var left = TransposeA ? A[k * StrideA + i] : A[i * StrideA + k];
                        var right = TransposeB ? B[j * StrideB + k] : B[k * StrideB + j];
                        sum = MathF.FusedMultiplyAdd(left, right, sum);
                    }
                    c[j] += sum;
                }
                continue;
            }
            if (Start == Start.AtZero) new Span<float>(c, N).Clear();
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

    /// <summary>A sum of no terms: +0, which turns −0 into +0 where it is added.</summary>
    readonly void Nothing()
    {
        if (Start == Start.AtZero)
            for (var i = 0; i < M; i++) new Span<float>(C + i * StrideC, N).Clear();
        else CpuBackend.NoNegativeZero(C, StrideC, M, N);
    }
}
