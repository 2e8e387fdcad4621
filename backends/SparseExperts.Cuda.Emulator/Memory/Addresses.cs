namespace SparseExperts.Cuda.Emulator.Memory;

/// <summary>
/// How addresses are given out. Every allocation has 64 GiB of addresses to itself and every shared array one MiB, so that an index that leaves an array
/// never lands in another; small numbers are no addresses at all.
/// </summary>
static class Addresses
{
    /// <summary>Bits of an address within an allocation of device memory.</summary>
    public const int AllocationBits = 36;

    /// <summary>The first allocation's number.</summary>
    public const int FirstAllocation = 16;

    /// <summary>Where shared and local memory lie among generic addresses; both windows have 4 GiB.</summary>
    public const ulong SharedWindow = 1UL << 32, LocalWindow = 2UL << 32;

    public const ulong LocalStart = 1 << 20;

    const int SharedBits = 20;

    public static ulong OfShared(int index) => (ulong)(index + 1) << SharedBits;

    /// <summary>The number of the shared array; -1 is none.</summary>
    public static long SharedIndex(ulong address) => (long)(address >> SharedBits) - 1;

    public static long AllocationIndex(ulong address) => (long)(address >> AllocationBits) - FirstAllocation;

    public static long AllocationOffset(ulong address) => (long)(address & ((1UL << AllocationBits) - 1));

    public static ulong OfAllocation(int index) => (ulong)(index + FirstAllocation) << AllocationBits;
}
