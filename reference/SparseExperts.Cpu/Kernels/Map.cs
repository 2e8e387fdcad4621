using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

/// <summary>A function of up to four elements at one place; the last is the old value of the destination.</summary>
interface IMap
{
    /// <summary>How many sources are read (1 to 3); constant, so that unused loads vanish.</summary>
    static abstract int Sources { get; }

    /// <summary>Whether the destination's old value is an argument.</summary>
    static abstract bool ReadsDestination { get; }

    V Invoke(V a, V b, V c, V old);
}

/// <summary>A function of up to three rows: what <see cref="TensorPrimitives"/> has, or a map of vectors along the row.</summary>
unsafe interface IRowMap
{
    void Row(float* a, float* b, float* c, float* to, int count);
}

/// <summary>A map, 16 elements at a time.</summary>
unsafe struct Vectors<TMap>(TMap map) : IRowMap where TMap : unmanaged, IMap
{
    readonly TMap _map = map;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Row(float* a, float* b, float* c, float* to, int count)
    {
        var i = 0;
        for (; i + 16 <= count; i += 16)
            _map.Invoke(Vector512.Load(a + i), TMap.Sources > 1 ? Vector512.Load(b + i) : default, TMap.Sources > 2 ? Vector512.Load(c + i) : default,
                TMap.ReadsDestination ? Vector512.Load(to + i) : default).Store(to + i);
        if (i == count) return;
        var rest = count - i;
        VectorMath.Store(_map.Invoke(VectorMath.Load(a + i, rest), TMap.Sources > 1 ? VectorMath.Load(b + i, rest) : default,
            TMap.Sources > 2 ? VectorMath.Load(c + i, rest) : default, TMap.ReadsDestination ? VectorMath.Load(to + i, rest) : default), to + i, rest);
    }
}

/// <summary>Applies a function of rows along matrices of equal shape, rows or runs of a contiguous block in parallel.</summary>
static unsafe class Map
{
    const int Run = 8192;       // elements a part when everything is contiguous

    public static void Apply<TMap>(CpuBackend backend, TMap map, Matrix a, Matrix b, Matrix c, Matrix to) where TMap : unmanaged, IMap =>
        Rows(backend, new Vectors<TMap>(map), a, b, c, to);

    public static void Rows<TRow>(CpuBackend backend, TRow row, Matrix a, Matrix b, Matrix c, Matrix to) where TRow : unmanaged, IRowMap
    {
        var job = new Job<TRow>
        {
            Map = row,
            A = CpuBackend.Pointer(a),
            B = CpuBackend.Pointer(b),
            C = CpuBackend.Pointer(c),
            To = CpuBackend.Pointer(to),
            StrideA = a.Stride,
            StrideB = b.Stride,
            StrideC = c.Stride,
            StrideTo = to.Stride,
            Rows = to.Rows,
            Columns = to.Columns,
        };
        job.Flat = a.IsContiguous && b.IsContiguous && c.IsContiguous && to.IsContiguous;
        job.RowsPerPart = Math.Max(1, Run / Math.Max(1, to.Columns));
        var parts = job.Flat ? (int)((to.Count + Run - 1) / Run) : (to.Rows + job.RowsPerPart - 1) / job.RowsPerPart;
        backend.Workers.Run(parts, job);
    }

    struct Job<TRow> : IJob where TRow : unmanaged, IRowMap
    {
        public TRow Map;
        public float* A, B, C, To;
        public long StrideA, StrideB, StrideC, StrideTo;
        public int Rows, Columns, RowsPerPart;
        public bool Flat;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            if (Flat)
            {
                long start = (long)part * RunLength, count = Math.Min(RunLength, (long)Rows * Columns - start);
                Map.Row(A + start, B + start, C + start, To + start, (int)count);
                return;
            }
            for (int r = part * RowsPerPart, end = Math.Min(Rows, r + RowsPerPart); r < end; r++)
                Map.Row(A + r * StrideA, B + r * StrideB, C + r * StrideC, To + r * StrideTo, Columns);
        }

        const int RunLength = SparseExperts.Cpu.Map.Run;
    }
}
