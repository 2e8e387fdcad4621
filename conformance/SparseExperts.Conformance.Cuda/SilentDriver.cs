using SparseExperts.Cuda;

namespace SparseExperts.Conformance.Cuda;

/// <summary>A device of an H200's size that computes nothing and says which kernels it was given: memory that is read holds zeros.</summary>
sealed class SilentDriver : ICudaDriver
{
    readonly List<string> _names = [];
    ulong _next = 256;
    nint _handles;

    /// <summary>Is told the kernel of every launch, and <c>graph</c> at that of a graph.</summary>
    public Action<string> Launched { get; set; } = _ => { };

    public CudaDeviceInfo Device { get; } = new("silent", 9, 0, 132, 1024, 227 << 10, 139L << 30, "none", "none");
    public (long Free, long Total) Memory() => (Device.TotalBytes, Device.TotalBytes);

    /// <summary>Bytes that were asked of the device so far.</summary>
    public long Allocated { get; private set; }

    public DevicePointer Allocate(long bytes)
    {
        Allocated += bytes;
        _next += (ulong)(bytes + 255) / 256 * 256;
        return new(_next - (ulong)(bytes + 255) / 256 * 256);
    }

    public void Free(DevicePointer memory) { }
    public void CopyToDevice(DevicePointer to, ReadOnlySpan<byte> from, CudaStream stream) { }
    public void CopyToHost(Span<byte> to, DevicePointer from, CudaStream stream) => to.Clear();
    public void CopyOnDevice(DevicePointer to, DevicePointer from, long bytes, CudaStream stream) => Launched("copy on device");
    public void Set(DevicePointer to, uint value, long words, CudaStream stream) => Launched("set");
    public CudaModule LoadModule(string name, ReadOnlySpan<byte> ptx) => new(++_handles);

    public CudaFunction Function(CudaModule module, string name)
    {
        _names.Add(name);
        return new(_names.Count - 1);
    }

    public void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream) =>
        Launched(_names[(int)function.Handle]);

    public CudaStream CreateStream() => new(++_handles);
    public void DestroyStream(CudaStream stream) { }
    public void Synchronize(CudaStream stream) { }
    public CudaEvent CreateEvent() => new(++_handles);
    public void DestroyEvent(CudaEvent mark) { }
    public void Record(CudaEvent mark, CudaStream stream) { }
    public void Wait(CudaStream stream, CudaEvent mark) { }
    public double Milliseconds(CudaEvent from, CudaEvent to) => 0;
    public void BeginCapture(CudaStream stream) => throw Capture();
    public CudaGraph EndCapture(CudaStream stream) => throw Capture();
    public CudaGraph CreateGraph(ReadOnlySpan<KernelLaunch> launches) => new(++_handles);
    public void Change(CudaGraph graph, int index, in KernelLaunch launch) { }
    public void Launch(CudaGraph graph, CudaStream stream) => Launched("graph");
    public void DestroyGraph(CudaGraph graph) { }
    public void Gemm(in GemmCall call, CudaStream stream) => Launched("gemm");
    public void GemmGrouped(ReadOnlySpan<GemmCall> calls, CudaStream stream) => Launched("grouped gemm");
    public void GemmBatched(in GemmCall call, int count, CudaStream stream) => Launched("batched gemm");
    public void Dispose() { }

    static NotSupportedException Capture() => new("nothing is captured: graphs are made of launches");
}
