using ManagedCuda.BasicTypes;
using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>Copies, streams and events.</summary>
public sealed partial class ManagedCudaDriver
{
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
}
