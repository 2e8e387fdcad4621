using System.Numerics;
using SparseExperts.Cuda.Emulator.Memory;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>The threads of a block with their shared memory. One object runs block after block of a launch.</summary>
sealed partial class Block : IDisposable
{
    public readonly PtxKernel Kernel;
    public readonly Instruction[] Code;
    public readonly byte[] Parameters;
    public readonly long MaxSteps;
    public long Instructions;

    readonly LaunchShape _shape;
    readonly Warp[] _warps;
    readonly uint _firstBlock;
    long _number;
    uint _interval;

    public Block(PtxKernel kernel, LaunchShape shape, byte[] parameters, DeviceMemory memory, EmulatorOptions options, uint firstBlock)
    {
        (Kernel, _shape, Parameters, _memory, _firstBlock) = (kernel, shape, parameters, memory, firstBlock);
        Code = [.. kernel.Code];
        MaxSteps = options.InstructionsPerThread;
        _shared = [.. kernel.Shared.Select(a => new Region($"shared array {a.Name}", 0, a.Bytes < 0 ? shape.SharedBytes : a.Bytes, options.Checks))];
        _local = new("local memory", 0, (long)kernel.LocalBytes * shape.Threads, options.Checks & ~EmulatorChecks.Races) { IsLocal = true };
        _warps = [.. Enumerable.Range(0, (shape.Threads + 31) / 32).Select(w => new Warp(this, w, shape.Threads - 32 * w))];
    }

    /// <summary>Runs block <paramref name="number"/>; its warps take turns from barrier to barrier in the order that <paramref name="order"/> gives.</summary>
    public void Run(long number, ITurns order)
    {
        _number = number;
        _interval = 0;
        foreach (var region in _shared) region.Forget();
        _local.Forget();
        foreach (var warp in _warps) warp.Begin(order.Lanes());
        var waiting = true;
        while (waiting)
        {
            waiting = false;
            foreach (var w in order.Of(_warps.Length)) waiting |= _warps[w].Run() == WarpOutcome.AtBarrier;
            if (waiting) Barrier();
        }
    }

    /// <summary>All threads wait at the same barrier; whoever has ended does not come.</summary>
    void Barrier()
    {
        var first = _warps.First(w => w.Alive != 0);
        var (place, lane) = first.Waiting;
        foreach (var warp in _warps)
        {
            var ended = warp.Lanes & ~warp.Alive;
            if (ended != 0)
                throw first.Fault(place, lane, $"a divergent barrier: thread {warp.Thread(BitOperations.TrailingZeroCount(ended))} has ended and never comes");
            if (!warp.WaitsTogether || warp.Waiting.Place != place)
                throw first.Fault(place, lane, $"a divergent barrier: threads of warp {warp.Number} wait at another one, line {Code[Other(warp, place)].Line}");
        }
        foreach (var warp in _warps) warp.Release();
        if (++_interval > RaceCheck.MaxInterval) throw first.Fault(place, lane, $"more than {RaceCheck.MaxInterval} barriers in one block");
    }

    static int Other(Warp warp, int place) => warp.Places.FirstOrDefault(p => p != place, place);

    public uint Special(string name, int thread) => name switch
    {
        "%tid.x" => (uint)(thread % _shape.ThreadsX),
        "%tid.y" => (uint)(thread / _shape.ThreadsX),
        "%ntid.x" => (uint)_shape.ThreadsX,
        "%ntid.y" => (uint)_shape.ThreadsY,
        "%ctaid.x" => (uint)(_number % _shape.BlocksX),
        "%ctaid.y" => (uint)(_number / _shape.BlocksX % _shape.BlocksY),
        "%ctaid.z" => (uint)(_number / _shape.BlocksX / _shape.BlocksY),
        "%nctaid.x" => (uint)_shape.BlocksX,
        "%nctaid.y" => (uint)_shape.BlocksY,
        "%nctaid.z" => (uint)_shape.BlocksZ,
        "%ntid.z" => 1,
        "%tid.z" => 0,
        "%laneid" => (uint)(thread % 32),
        "%warpid" => (uint)(thread / 32),
        _ => throw new CudaFault($"special register {name} is not known here"),
    };

    /// <summary>Whether a special register changes from block to block; it is one for all threads then.</summary>
    public static bool IsOfTheBlock(string name) => name.StartsWith("%ctaid", StringComparison.Ordinal);

    public static bool IsSpecial(string name) => name is "%tid.x" or "%tid.y" or "%tid.z" or "%ntid.x" or "%ntid.y" or "%ntid.z" or "%laneid" or "%warpid"
        or "%ctaid.x" or "%ctaid.y" or "%ctaid.z" or "%nctaid.x" or "%nctaid.y" or "%nctaid.z";

    /// <summary>A fault of a thread at an instruction.</summary>
    public CudaFault Fault(int thread, int place, string message)
    {
        var line = Code[Math.Min(place, Code.Length - 1)].Line;
        return new($"kernel {Kernel.Name}, block ({Special("%ctaid.x", 0)}, {Special("%ctaid.y", 0)}, {Special("%ctaid.z", 0)}), "
            + $"thread ({Special("%tid.x", thread)}, {Special("%tid.y", thread)}), {Kernel.File} line {line} `{Kernel.Source(line)}`: {message}");
    }

    public void Dispose()
    {
        foreach (var warp in _warps) warp.Dispose();
        foreach (var region in _shared) region.Dispose();
        _local.Dispose();
    }
}
