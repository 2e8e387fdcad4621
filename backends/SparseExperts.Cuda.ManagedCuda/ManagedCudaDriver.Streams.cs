using ManagedCuda.BasicTypes;
using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>Copies, streams, events and recorded work.</summary>
public sealed partial class ManagedCudaDriver
{
    /// <summary>Pinned copies of what was uploaded while a stream was recorded: each replay reads them again, so they live as long as the graph.</summary>
    readonly Dictionary<nint, List<nint>> _recording = [], _kept = [];

    public void CopyToDevice(DevicePointer to, ReadOnlySpan<byte> from, CudaStream stream)
    {
        MakeCurrent();
        if (from.IsEmpty) return;
        if (_recording.TryGetValue(stream.Handle, out var kept)) kept.Add(StagingRing.CopyOnce(At(to), from, On(stream)));
        else _staging.Copy(At(to), from, On(stream));
    }

    public unsafe void CopyToHost(Span<byte> to, DevicePointer from, CudaStream stream)
    {
        MakeCurrent();
        if (to.IsEmpty) return;
        fixed (byte* host = to)
        {
            CudaStatus.Check(Driver.AsynchronousMemcpy_v2.cuMemcpyDtoHAsync_v2((nint)host, At(from), (SizeT)(ulong)to.Length, On(stream)), "cuMemcpyDtoHAsync");
            CudaStatus.Check(Driver.Streams.cuStreamSynchronize(On(stream)), "cuStreamSynchronize after a copy to the host");
        }
    }

    public void CopyOnDevice(DevicePointer to, DevicePointer from, long bytes, CudaStream stream)
    {
        MakeCurrent();
        if (bytes <= 0) return;
        CudaStatus.Check(Driver.AsynchronousMemcpy_v2.cuMemcpyDtoDAsync_v2(At(to), At(from), (SizeT)(ulong)bytes, On(stream)), "cuMemcpyDtoDAsync");
    }

    public void Set(DevicePointer to, uint value, long words, CudaStream stream)
    {
        MakeCurrent();
        if (words > 0) CudaStatus.Check(Driver.MemsetAsync.cuMemsetD32Async(At(to), value, (SizeT)(ulong)words, On(stream)), "cuMemsetD32Async");
    }

    public CudaStream CreateStream()
    {
        MakeCurrent();
        CUstream stream = default;
        CudaStatus.Check(Driver.Streams.cuStreamCreate(ref stream, CUStreamFlags.NonBlocking), "cuStreamCreate");
        return new(stream.Pointer);
    }

    public void DestroyStream(CudaStream stream)
    {
        MakeCurrent();
        _staging.Leave(On(stream));
        _products.Leave(stream);
        CudaStatus.Check(Driver.Streams.cuStreamDestroy_v2(On(stream)), "cuStreamDestroy");
    }

    public void Synchronize(CudaStream stream)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.Streams.cuStreamSynchronize(On(stream)), "cuStreamSynchronize");
    }

    public CudaEvent CreateEvent()
    {
        MakeCurrent();
        CUevent mark = default;
        CudaStatus.Check(Driver.Events.cuEventCreate(ref mark, CUEventFlags.Default), "cuEventCreate");
        return new(mark.Pointer);
    }

    public void DestroyEvent(CudaEvent mark)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.Events.cuEventDestroy_v2(new() { Pointer = mark.Handle }), "cuEventDestroy");
    }

    public void Record(CudaEvent mark, CudaStream stream)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.Events.cuEventRecord(new() { Pointer = mark.Handle }, On(stream)), "cuEventRecord");
    }

    public void Wait(CudaStream stream, CudaEvent mark)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.Streams.cuStreamWaitEvent(On(stream), new() { Pointer = mark.Handle }, 0), "cuStreamWaitEvent");
    }

    public double Milliseconds(CudaEvent from, CudaEvent to)
    {
        MakeCurrent();
        var elapsed = 0f;
        CudaStatus.Check(Driver.Events.cuEventSynchronize(new() { Pointer = to.Handle }), "cuEventSynchronize");
        CudaStatus.Check(Driver.Events.cuEventElapsedTime(ref elapsed, new() { Pointer = from.Handle }, new() { Pointer = to.Handle }), "cuEventElapsedTime");
        return elapsed;
    }

    /// <summary>Relaxed: memory may be had from the driver while work is recorded.</summary>
    public void BeginCapture(CudaStream stream)
    {
        MakeCurrent();
        _staging.Leave(On(stream));
        CudaStatus.Check(Driver.Streams.cuStreamBeginCapture(On(stream), CUstreamCaptureMode.Relaxed), "cuStreamBeginCapture");
        _recording[stream.Handle] = [];
    }

    public CudaGraph EndCapture(CudaStream stream)
    {
        MakeCurrent();
        CUgraph graph = default;
        CUgraphExec ready = default;
        _recording.Remove(stream.Handle, out var kept);
        try
        {
            CudaStatus.Check(Driver.Streams.cuStreamEndCapture(On(stream), ref graph), "cuStreamEndCapture");
            CudaStatus.Check(Driver.GraphManagment.cuGraphInstantiate(ref ready, graph, CUgraphInstantiate_flags.None), "cuGraphInstantiate");
        }
        catch (CudaFault)
        {
            FreeHost(kept);
            throw;
        }
        finally
        {
            if (graph.Pointer != 0) _ = Driver.GraphManagment.cuGraphDestroy(graph);
        }
        _kept[ready.Pointer] = kept ?? [];
        return new(ready.Pointer);
    }

    public void Launch(CudaGraph graph, CudaStream stream)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.GraphManagment.cuGraphLaunch(new() { Pointer = graph.Handle }, On(stream)), "cuGraphLaunch");
    }

    /// <summary>Replays that were given to a stream must have ended.</summary>
    public void DestroyGraph(CudaGraph graph)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.GraphManagment.cuGraphExecDestroy(new() { Pointer = graph.Handle }), "cuGraphExecDestroy");
        if (_kept.Remove(graph.Handle, out var kept)) FreeHost(kept);
    }

    static void FreeHost(List<nint>? blocks)
    {
        foreach (var block in blocks ?? []) _ = Driver.MemoryManagement.cuMemFreeHost(block);
    }
}
