namespace SparseExperts.Cuda;

/// <summary>
/// What the backend needs of a GPU: the part of the CUDA driver and of cuBLAS that it uses, with types. One implementation talks to the driver,
/// another runs the same PTX on the CPU and checks every access. Work on a stream runs in the order in which it was given; only
/// <see cref="CopyToHost"/>, <see cref="Synchronize"/> and <see cref="Milliseconds"/> wait. Failures are <see cref="CudaFault"/>s.
/// </summary>
public interface ICudaDriver : IDisposable
{
    CudaDeviceInfo Device { get; }

    /// <summary>Bytes that are free and bytes that there are.</summary>
    (long Free, long Total) Memory();

    /// <summary>Memory of at least <paramref name="bytes"/> bytes, aligned to 256. Its contents are arbitrary.</summary>
    DevicePointer Allocate(long bytes);

    /// <summary>Gives memory back. Work that was given before may still use it.</summary>
    void Free(DevicePointer memory);

    /// <summary><paramref name="from"/> may change as soon as the call returns.</summary>
    void CopyToDevice(DevicePointer to, ReadOnlySpan<byte> from, CudaStream stream);

    /// <summary>Waits for the stream and for the bytes.</summary>
    void CopyToHost(Span<byte> to, DevicePointer from, CudaStream stream);

    void CopyOnDevice(DevicePointer to, DevicePointer from, long bytes, CudaStream stream);

    /// <summary>Every one of <paramref name="words"/> 32-bit words becomes <paramref name="value"/>.</summary>
    void Set(DevicePointer to, uint value, long words, CudaStream stream);

    /// <summary>Loads PTX text. <paramref name="name"/> stands in messages.</summary>
    CudaModule LoadModule(string name, ReadOnlySpan<byte> ptx);

    CudaFunction Function(CudaModule module, string name);

    /// <summary>Arguments by position; kinds and number must be those of the kernel's parameters.</summary>
    void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream);

    CudaStream CreateStream();
    void DestroyStream(CudaStream stream);
    void Synchronize(CudaStream stream);

    CudaEvent CreateEvent();
    void DestroyEvent(CudaEvent mark);
    void Record(CudaEvent mark, CudaStream stream);

    /// <summary>What is given to the stream from now on runs after the event.</summary>
    void Wait(CudaStream stream, CudaEvent mark);

    /// <summary>Time between two recorded events; waits for the second.</summary>
    double Milliseconds(CudaEvent from, CudaEvent to);

    /// <summary>From now on what is given to the stream is recorded and does not run.</summary>
    void BeginCapture(CudaStream stream);
    CudaGraph EndCapture(CudaStream stream);

    /// <summary>A graph of launches that run one after the other; nothing runs yet.</summary>
    CudaGraph CreateGraph(ReadOnlySpan<KernelLaunch> launches);

    /// <summary>
    /// From its next launch on the graph has <paramref name="launch"/>, of the same kernel, in the place of its launch number <paramref name="index"/>. What
    /// was given to a stream before stays as it was.
    /// </summary>
    void Change(CudaGraph graph, int index, in KernelLaunch launch);

    void Launch(CudaGraph graph, CudaStream stream);
    void DestroyGraph(CudaGraph graph);

    /// <summary>One product in cuBLAS's terms (column-major).</summary>
    void Gemm(in GemmCall call, CudaStream stream);

    /// <summary>Products of different sizes in one call; all have the first one's precision.</summary>
    void GemmGrouped(ReadOnlySpan<GemmCall> calls, CudaStream stream);

    /// <summary>
    /// <paramref name="count"/> products of one shape in one call, whose addresses the device knows: A, B and C of <paramref name="call"/> are tables of so
    /// many addresses, read when the work runs.
    /// </summary>
    void GemmBatched(in GemmCall call, int count, CudaStream stream);
}

/// <summary>An address in the device's memory.</summary>
public readonly record struct DevicePointer(ulong Address)
{
    public static DevicePointer operator +(DevicePointer pointer, long bytes) => new(pointer.Address + (ulong)bytes);
    public bool IsNull => Address == 0;
    public override string ToString() => $"0x{Address:x}";
}

public readonly record struct CudaModule(nint Handle);
public readonly record struct CudaFunction(nint Handle);
public readonly record struct CudaStream(nint Handle);
public readonly record struct CudaEvent(nint Handle);
public readonly record struct CudaGraph(nint Handle);

/// <summary>A launch: blocks in up to three dimensions, threads of a block in up to two, bytes of dynamic shared memory.</summary>
public readonly record struct LaunchShape(int BlocksX, int BlocksY, int BlocksZ, int ThreadsX, int ThreadsY = 1, int SharedBytes = 0)
{
    public int Threads => ThreadsX * ThreadsY;
    public long Blocks => (long)BlocksX * BlocksY * BlocksZ;
}

/// <summary>A launch as a graph keeps it.</summary>
public readonly record struct KernelLaunch(CudaFunction Function, LaunchShape Shape, KernelArgument[] Arguments)
{
    /// <summary>Whether both are the same in everything: kernel, shape and every argument.</summary>
    public bool Equals(KernelLaunch other) => Function == other.Function && Shape == other.Shape && Arguments.AsSpan().SequenceEqual(other.Arguments);

    public override int GetHashCode() => HashCode.Combine(Function, Shape, Arguments.Length);
}

/// <summary>What a device is. <paramref name="Driver"/> and <paramref name="Cublas"/> are versions as text.</summary>
public sealed record CudaDeviceInfo(
    string Name, int Major, int Minor, int Multiprocessors, int MaxThreadsPerBlock, int SharedBytesPerBlock, long TotalBytes, string Driver, string Cublas)
{
    /// <summary>Blocks that a launch may have along y.</summary>
    public int MaxBlocksY { get; init; } = 65535;

    public string ComputeCapability => $"{Major}.{Minor}";
}

/// <summary>How matrix units may read float32 operands: as they are, with 10 bits of fraction (TF32), or with 7 (bfloat16). Sums are float32.</summary>
public enum ProductPrecision { Float32, Tf32, BFloat16 }

/// <summary>
/// C = alpha·op(A)·op(B) + beta·C in column-major storage (cublasSgemm): op(A) is M×K, op(B) K×N, C M×N; leading dimensions in elements.
/// </summary>
public readonly record struct GemmCall(
    bool TransposeA, bool TransposeB, int M, int N, int K, float Alpha, DevicePointer A, int LeadingA, DevicePointer B, int LeadingB, float Beta,
    DevicePointer C, int LeadingC,
    ProductPrecision Precision);

/// <summary>A fault of the device or its driver, as one line with what to do.</summary>
public sealed class CudaFault(string message, Exception? inner = null) : DeviceFaultException(message, inner);
