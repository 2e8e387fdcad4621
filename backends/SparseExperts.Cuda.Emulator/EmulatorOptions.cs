namespace SparseExperts.Cuda.Emulator;

/// <summary>In which order blocks, the warps of a block and the lanes of a warp take their turns. Correct kernels give the same bits in each.</summary>
public enum ThreadOrder { Ascending, Descending, Drawn }

/// <summary>What is checked beyond bounds, alignment and lifetimes, which always are.</summary>
[Flags]
public enum EmulatorChecks
{
    None = 0,

    /// <summary>Words that are read were written before.</summary>
    Unwritten = 1,

    /// <summary>
    /// No word is written by one thread and touched by another without a barrier between them, and <c>ld.global.nc</c> reads nothing that the launch
    /// writes. Blocks then run one after the other.
    /// </summary>
    Races = 2,

    All = Unwritten | Races,
}

/// <summary>How the emulator runs.</summary>
public sealed record EmulatorOptions
{
    public EmulatorChecks Checks { get; init; } = EmulatorChecks.All;
    public ThreadOrder Order { get; init; } = ThreadOrder.Ascending;

    /// <summary>What <see cref="ThreadOrder.Drawn"/> is drawn from.</summary>
    public int Seed { get; init; }

    /// <summary>Multiprocessors that the device pretends to have: how work is cut depends on them, and no bit does.</summary>
    public int Multiprocessors { get; init; } = 1;

    /// <summary>Blocks along y that the device pretends to take: with few of them a kernel's threads go over several rows.</summary>
    public int MaxBlocksY { get; init; } = 65535;

    /// <summary>Memory that the device pretends to have.</summary>
    public long MemoryBytes { get; init; } = 8L << 30;

    /// <summary>A thread that executes more instructions is taken to run for ever.</summary>
    public long InstructionsPerThread { get; init; } = 200_000_000;

    /// <summary>Makes other text of a module's (name, text) before it is loaded, for tests that plant a fault.</summary>
    public Func<string, string, string>? Rewrite { get; init; }

    /// <summary>Workers over the blocks of a launch where races are not checked.</summary>
    public int Workers { get; init; } = Environment.ProcessorCount;
}
