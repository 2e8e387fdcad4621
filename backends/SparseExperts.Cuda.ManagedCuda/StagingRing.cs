using ManagedCuda.BasicTypes;
using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>
/// Pinned memory through which uploads go, so that the caller's memory is free at once and nobody waits: pieces of a ring, each used again only when an
/// event says that its copies have ended. A large upload goes piece by piece, the host filling one while the device reads another.
/// </summary>
sealed class StagingRing : IDisposable
{
    const int PieceBytes = 1 << 20, Pieces = 8, Alignment = 256;

    readonly nint _memory;
    readonly CUevent[] _ended = new CUevent[Pieces];
    readonly bool[] _inFlight = new bool[Pieces];
    CUstream _stream;
    int _piece, _used;

    public StagingRing()
    {
        _memory = Pinned(PieceBytes * Pieces);
        for (var i = 0; i < Pieces; i++) CudaStatus.Check(Driver.Events.cuEventCreate(ref _ended[i], CUEventFlags.DisableTiming), "cuEventCreate");
    }

    public void Copy(CUdeviceptr to, ReadOnlySpan<byte> from, CUstream stream)
    {
        for (var done = 0; done < from.Length;)
        {
            var rest = from.Length - done;
            if (_used > 0 && (stream.Pointer != _stream.Pointer || _used + Math.Min(rest, PieceBytes) > PieceBytes)) NextPiece();
            _stream = stream;
            var count = Math.Min(rest, PieceBytes);
            Send(new((SizeT)((ulong)to.Pointer + (ulong)done)), from.Slice(done, count), _memory + _piece * PieceBytes + _used, stream);
            _used += (count + Alignment - 1) / Alignment * Alignment;
            done += count;
        }
    }

    /// <summary>A copy from memory of its own, which the caller frees when nothing reads it any more.</summary>
    public static nint CopyOnce(CUdeviceptr to, ReadOnlySpan<byte> from, CUstream stream)
    {
        var memory = Pinned(from.Length);
        Send(to, from, memory, stream);
        return memory;
    }

    /// <summary>Before a stream is recorded or destroyed: no event may be asked of it later.</summary>
    public void Leave(CUstream stream)
    {
        if (_used > 0 && _stream.Pointer == stream.Pointer) NextPiece();
    }

    public void Dispose()
    {
        foreach (var ended in _ended) _ = Driver.Events.cuEventDestroy_v2(ended);
        _ = Driver.MemoryManagement.cuMemFreeHost(_memory);
    }

    void NextPiece()
    {
        CudaStatus.Check(Driver.Events.cuEventRecord(_ended[_piece], _stream), "cuEventRecord after an upload");
        _inFlight[_piece] = true;
        _piece = (_piece + 1) % Pieces;
        _used = 0;
        if (_inFlight[_piece]) CudaStatus.Check(Driver.Events.cuEventSynchronize(_ended[_piece]), "cuEventSynchronize for an upload");
        _inFlight[_piece] = false;
    }

    static unsafe void Send(CUdeviceptr to, ReadOnlySpan<byte> from, nint through, CUstream stream)
    {
        from.CopyTo(new Span<byte>((void*)through, from.Length));
        CudaStatus.Check(Driver.AsynchronousMemcpy_v2.cuMemcpyHtoDAsync_v2(to, through, (SizeT)(ulong)from.Length, stream), "cuMemcpyHtoDAsync");
    }

    static nint Pinned(long bytes)
    {
        nint memory = 0;
        CudaStatus.Check(Driver.MemoryManagement.cuMemHostAlloc(ref memory, (SizeT)(ulong)bytes, CUMemHostAllocFlags.None), $"cuMemHostAlloc of {bytes} bytes");
        return memory;
    }
}
