using SparseExperts.Cuda.Emulator.Memory;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Launches: what they may ask for, and their blocks one after the other or, where nobody watches for races, on several workers.</summary>
sealed class Launcher(DeviceMemory memory, EmulatorOptions options)
{
    public const int MaxThreads = 1024, MaxSharedBytes = 48 << 10, MaxBlocksZ = 65535;

    readonly ITurns _turns = ITurns.From(options.Order, options.Seed);
    uint _nextBlock = 1;

    /// <summary>Thread-instructions so far.</summary>
    public long Instructions { get; private set; }

    /// <summary>The parameters' bytes, once shape and arguments were found right.</summary>
    public byte[] Parameters(PtxKernel kernel, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments)
    {
        CudaFault Wrong(string message) => new($"launch of {kernel.Name}: {message}");
        if (shape.BlocksX < 1 || shape.BlocksY < 1 || shape.BlocksZ < 1)
            throw Wrong($"{shape.BlocksX}×{shape.BlocksY}×{shape.BlocksZ} blocks; every dimension needs one at least");
        if (shape.BlocksY > options.MaxBlocksY || shape.BlocksZ > MaxBlocksZ)
            throw Wrong($"{shape.BlocksY}×{shape.BlocksZ} blocks in y and z; this device takes {options.MaxBlocksY} and {MaxBlocksZ}");
        if (shape.ThreadsX < 1 || shape.ThreadsY < 1 || (long)shape.ThreadsX * shape.ThreadsY > MaxThreads)
            throw Wrong($"{shape.ThreadsX}×{shape.ThreadsY} threads a block; a device takes 1 to {MaxThreads}");
        if (shape.Threads > kernel.MaxThreads) throw Wrong($"{shape.Threads} threads a block; the kernel was compiled for {kernel.MaxThreads}");
        if (shape.SharedBytes < 0 || kernel.StaticSharedBytes + shape.SharedBytes > MaxSharedBytes)
            throw Wrong($"{kernel.StaticSharedBytes} + {shape.SharedBytes} bytes of shared memory; a block has {MaxSharedBytes}");
        if (arguments.Length != kernel.Parameters.Count) throw Wrong($"{arguments.Length} arguments for {kernel.Parameters.Count} parameters");
        var bytes = new byte[kernel.ParameterBytes];
        for (var i = 0; i < arguments.Length; i++)
        {
            var (parameter, argument) = (kernel.Parameters[i], arguments[i]);
            var fits = argument.Kind switch
            {
                ArgumentKind.Pointer or ArgumentKind.Int64 => parameter.Type is "u64" or "s64" or "b64",
                ArgumentKind.Int32 => parameter.Type is "u32" or "s32" or "b32",
                _ => parameter.Type is "f32",
            };
            if (!fits) throw Wrong($"argument {i} is {argument.Kind}, but the parameter is .{parameter.Type}");
            BitConverter.GetBytes(argument.Bits).AsSpan(0, argument.Size).CopyTo(bytes.AsSpan(parameter.Offset));
        }
        return bytes;
    }

    public void Run(PtxKernel kernel, in LaunchShape shape, byte[] parameters)
    {
        var blocks = shape.Blocks;
        if (blocks > int.MaxValue) throw new CudaFault($"launch of {kernel.Name}: {blocks} blocks are too many to emulate");
        if (_nextBlock + blocks > uint.MaxValue) _nextBlock = 1;
        var first = _nextBlock;
        _nextBlock += (uint)blocks;
        if (options.Checks.HasFlag(EmulatorChecks.Races) || options.Workers < 2 || blocks < 2) Serial(kernel, shape, parameters, first);
        else Parallel(kernel, shape, parameters, first);
    }

    void Serial(PtxKernel kernel, LaunchShape shape, byte[] parameters, uint first)
    {
        using var block = new Block(kernel, shape, parameters, memory, options, first);
        foreach (var number in _turns.Of((int)shape.Blocks)) block.Run(number, _turns);
        Instructions += block.Instructions;
    }

    void Parallel(PtxKernel kernel, LaunchShape shape, byte[] parameters, uint first)
    {
        var (next, instructions) = (-1, 0L);
        CudaFault? fault = null;
        System.Threading.Tasks.Parallel.For(0, (int)Math.Min(options.Workers, shape.Blocks), worker =>
        {
            using var block = new Block(kernel, shape, parameters, memory, options, first);
            var turns = ITurns.From(options.Order, options.Seed + worker);
            try
            {
                for (int number; (number = Interlocked.Increment(ref next)) < shape.Blocks && Volatile.Read(ref fault) is null;) block.Run(number, turns);
            }
            catch (CudaFault found) { Interlocked.CompareExchange(ref fault, found, null); }
            Interlocked.Add(ref instructions, block.Instructions);
        });
        Instructions += instructions;
        if (fault is not null) throw fault;
    }
}
