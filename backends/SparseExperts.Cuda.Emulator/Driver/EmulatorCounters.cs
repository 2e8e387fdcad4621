namespace SparseExperts.Cuda.Emulator;

/// <summary>What a driver was asked for so far. <see cref="Launches"/> counts kernels by name, those of graphs included.</summary>
public sealed record EmulatorCounters(
    IReadOnlyDictionary<string, long> Launches, long Products, long GraphLaunches, long BytesToDevice, long BytesToHost,
    long Waits, long Allocations, long Instructions);
