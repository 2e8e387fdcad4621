using SparseExperts.Cuda;

namespace SparseExperts.Conformance.Mutants;

/// <summary>A driver that hands every call to another one. Subclasses change single calls, to watch them or to break them.</summary>
public abstract class DelegatingDriver(ICudaDriver inner) : ICudaDriver
{
    public virtual CudaDeviceInfo Device => inner.Device;
    public virtual (long Free, long Total) Memory() => inner.Memory();
    public virtual DevicePointer Allocate(long bytes) => inner.Allocate(bytes);
    public virtual void Free(DevicePointer memory) => inner.Free(memory);
    public virtual void CopyToDevice(DevicePointer to, ReadOnlySpan<byte> from, CudaStream stream) => inner.CopyToDevice(to, from, stream);
    public virtual void CopyToHost(Span<byte> to, DevicePointer from, CudaStream stream) => inner.CopyToHost(to, from, stream);
    public virtual void CopyOnDevice(DevicePointer to, DevicePointer from, long bytes, CudaStream stream) => inner.CopyOnDevice(to, from, bytes, stream);
    public virtual void Set(DevicePointer to, uint value, long words, CudaStream stream) => inner.Set(to, value, words, stream);
    public virtual CudaModule LoadModule(string name, ReadOnlySpan<byte> ptx) => inner.LoadModule(name, ptx);
    public virtual CudaFunction Function(CudaModule module, string name) => inner.Function(module, name);
    public virtual void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream) =>
        inner.Launch(function, shape, arguments, stream);
    public virtual CudaStream CreateStream() => inner.CreateStream();
    public virtual void DestroyStream(CudaStream stream) => inner.DestroyStream(stream);
    public virtual void Synchronize(CudaStream stream) => inner.Synchronize(stream);
    public virtual CudaEvent CreateEvent() => inner.CreateEvent();
    public virtual void DestroyEvent(CudaEvent mark) => inner.DestroyEvent(mark);
    public virtual void Record(CudaEvent mark, CudaStream stream) => inner.Record(mark, stream);
    public virtual void Wait(CudaStream stream, CudaEvent mark) => inner.Wait(stream, mark);
    public virtual double Milliseconds(CudaEvent from, CudaEvent to) => inner.Milliseconds(from, to);
    public virtual void BeginCapture(CudaStream stream) => inner.BeginCapture(stream);
    public virtual CudaGraph EndCapture(CudaStream stream) => inner.EndCapture(stream);
    public virtual CudaGraph CreateGraph(ReadOnlySpan<KernelLaunch> launches) => inner.CreateGraph(launches);
    public virtual void Change(CudaGraph graph, int index, in KernelLaunch launch) => inner.Change(graph, index, launch);
    public virtual void Launch(CudaGraph graph, CudaStream stream) => inner.Launch(graph, stream);
    public virtual void DestroyGraph(CudaGraph graph) => inner.DestroyGraph(graph);
    public virtual void Gemm(in GemmCall call, CudaStream stream) => inner.Gemm(call, stream);
    public virtual void GemmGrouped(ReadOnlySpan<GemmCall> calls, CudaStream stream) => inner.GemmGrouped(calls, stream);
    public virtual void GemmBatched(in GemmCall call, int count, CudaStream stream) => inner.GemmBatched(call, count, stream);

    public virtual void Dispose()
    {
        inner.Dispose();
        GC.SuppressFinalize(this);
    }
}
