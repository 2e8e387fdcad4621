using System.Numerics.Tensors;
using System.Runtime.Intrinsics.X86;

namespace SparseExperts.Cpu;

/// <summary>
/// The SIMD CPU backend. Every op gives the canonical bits: the same on AVX-512, AVX2, 128-bit and scalar machines, on any number of
/// threads, in any batch.
/// </summary>
public sealed unsafe partial class CpuBackend : IBackend
{
    readonly StoragePool _pool = new();
    readonly FaultFlag _faults = new();

    /// <param name="threads">Threads that share the work; 0 takes one a processor.</param>
    public CpuBackend(int threads = 0)
    {
        Workers = new Workers(threads > 0 ? threads : Environment.ProcessorCount);
        Info = new("cpu", $"CPU, {SimdLevel}", "float32, fused multiply-add chains", Workers.Count) { PromisesBits = true };
    }

    /// <summary>The widest instruction set that the kernels use on this machine.</summary>
    public static string SimdLevel =>
        Avx512F.IsSupported ? "AVX-512"
        : Avx2.IsSupported && Fma.IsSupported ? "AVX2"
        : System.Runtime.Intrinsics.Vector128.IsHardwareAccelerated ? "128-bit"
        : "scalar";

    public BackendInfo Info { get; }
    internal Workers Workers { get; }

    public IndexFault? TakeFault() => _faults.Take();
    public Storage Rent(ElementType type, long length) => _pool.Rent(this, type, length);
    public void Return(Storage storage) => _pool.Return((CpuStorage)storage);

    public void Dispose()
    {
        Workers.Dispose();
        _pool.Dispose();
    }

    public void Write(Storage to, long offset, ReadOnlySpan<float> values)
    {
        if (to.Type.IsNarrow()) Formats.Narrow(to.Type, values, Narrow(to, offset, values.Length));
        else values.CopyTo(Reals(to, offset, values.Length));
    }

    public void Write(Storage to, long offset, ReadOnlySpan<double> values)
    {
        if (!to.Type.IsNarrow()) TensorPrimitives.ConvertTruncating(values, Reals(to, offset, values.Length));      // to nearest even, as the cast does
        else
        {
            var narrow = Narrow(to, offset, values.Length);
            for (var i = 0; i < values.Length; i++) narrow[i] = SparseExperts.Narrow.Bits(to.Type, values[i]);
        }
    }

    public void Read(Storage from, long offset, Span<float> values)
    {
        if (from.Type.IsNarrow()) Formats.Widen(from.Type, Narrow(from, offset, values.Length), values);
        else Reals(from, offset, values.Length).CopyTo(values);
    }

    public void Read(Storage from, long offset, Span<double> values)
    {
        if (!from.Type.IsNarrow()) TensorPrimitives.ConvertTruncating((ReadOnlySpan<float>)Reals(from, offset, values.Length), values);
        else
        {
            var narrow = Narrow(from, offset, values.Length);
            for (var i = 0; i < values.Length; i++) values[i] = SparseExperts.Narrow.Value(from.Type, narrow[i]);
        }
    }

    public void Write(Storage to, long offset, ReadOnlySpan<int> values) => values.CopyTo(Integers(to, offset, values.Length));
    public void Read(Storage from, long offset, Span<int> values) => Integers(from, offset, values.Length).CopyTo(values);

    public void Fill(Matrix matrix, double value)
    {
        Check.Owned(this, "Fill", matrix);
        Apply(new FillMap((float)value), matrix, matrix, matrix, matrix);
    }

    public void Copy(Matrix from, Matrix to)
    {
        Check.Copy(this, from, to);
        if (from.Type.IsNarrow()) Cast(from, to);
        else Apply(new CopyMap(), from, from, from, to);
    }

    internal static float* Pointer(Matrix matrix) => (float*)((CpuStorage)matrix.Storage).Pointer + matrix.Offset;

    static Span<float> Reals(Storage storage, long offset, int count) =>
        storage.Type == ElementType.Real && offset >= 0 && offset + count <= storage.Length
            ? new((float*)((CpuStorage)storage).Pointer + offset, count)
            : throw new ShapeException($"transfer: {count} reals at {offset} leave a storage of {storage.Length} {storage.Type} elements; shrink the range");

    static Span<ushort> Narrow(Storage storage, long offset, int count) =>
        storage.Type.IsNarrow() && offset >= 0 && offset + count <= storage.Length
            ? new((ushort*)((CpuStorage)storage).Pointer + offset, count)
            : throw new ShapeException($"transfer: {count} numbers at {offset} leave a storage of {storage.Length} {storage.Type} elements; shrink the range");

    static Span<int> Integers(Storage storage, long offset, int count) =>
        storage.Type == ElementType.Integer && offset >= 0 && offset + count <= storage.Length
            ? new((int*)((CpuStorage)storage).Pointer + offset, count)
            : throw new ShapeException($"transfer: {count} integers at {offset} leave a storage of {storage.Length} {storage.Type} elements; shrink the range");

    static ReadOnlySpan<int> Integers(Indices indices) => Integers(indices.Storage, indices.Offset, indices.Count);

    void Apply<TMap>(TMap map, Matrix a, Matrix b, Matrix c, Matrix to) where TMap : unmanaged, IMap => Map.Apply(this, map, a, b, c, to);
}
