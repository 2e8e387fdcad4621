using SparseExperts.Cuda.Emulator.Memory;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>State spaces of addresses.</summary>
enum Space { Generic, Global, Shared, Local, Const }

/// <summary>The memory that a block sees.</summary>
sealed partial class Block
{
    readonly DeviceMemory _memory;
    readonly Region[] _shared;
    readonly Region _local;

    /// <summary>Where an address lies: the region, the address at which it starts for this lane, and its bytes.</summary>
    public (Region Region, ulong Start, long From, long Length) Resolve(Warp warp, int lane, Space space, ulong address)
    {
        var window = 0UL;
        if (space == Space.Generic && address >> 32 is 1 or 2 && address < 3UL << 32)
        {
            space = address >> 32 == 1 ? Space.Shared : Space.Local;
            window = space == Space.Shared ? Addresses.SharedWindow : Addresses.LocalWindow;
        }
        switch (space)
        {
            case Space.Shared:
                var index = Addresses.SharedIndex(address - window);
                if ((ulong)index >= (ulong)_shared.Length) throw warp.Fault(lane, $"0x{address:x} is no address of shared memory");
                return (_shared[index], window + Addresses.OfShared((int)index), 0, _shared[index].Length);
            case Space.Local:
                return (_local, window + Addresses.LocalStart, (long)warp.Thread(lane) * Kernel.LocalBytes, Kernel.LocalBytes);
            default:
                var region = _memory.Find(address, out _, out var wrong) ?? throw warp.Fault(lane, wrong);
                return (region, region.Address, 0, region.Length);
        }
    }

    /// <summary>What a lane's touches are checked against.</summary>
    public RaceCheck Races(int thread) => new(_firstBlock, _firstBlock + (uint)_number, _interval, (uint)thread);

    /// <summary>Records below this are of launches before.</summary>
    public ulong LaunchRecords => RaceCheck.FirstRecord(_firstBlock);
}
