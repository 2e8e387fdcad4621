using SparseExperts.Cuda.Emulator.Memory;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>State spaces of addresses.</summary>
enum Space { Generic, Global, Shared, Local, Const }

/// <summary>From addresses to memory, with every check on the way.</summary>
sealed unsafe partial class Block
{
    readonly DeviceMemory _memory;
    readonly Region[] _shared;
    readonly Region _local;


    /// <summary>Where the bytes of an access lie.</summary>
    public byte* At(Warp warp, int lane, Space space, ulong address, int bytes, int alignment, Access access)
    {
        if (space == Space.Generic && address < 1UL << Addresses.AllocationBits)
        {
            space = (address >> 32) switch { 1 => Space.Shared, 2 => Space.Local, _ => Space.Global };
            if (space != Space.Global) address &= uint.MaxValue;
        }
        Region region;
        long offset;
        switch (space)
        {
            case Space.Shared:
                var index = Addresses.SharedIndex(address);
                if ((ulong)index >= (ulong)_shared.Length) throw warp.Fault(lane, $"0x{address:x} is no address of shared memory");
                (region, offset) = (_shared[index], Addresses.SharedOffset(address));
                break;
            case Space.Local:
                offset = (long)(address - Addresses.LocalStart);
                if (offset < 0 || offset + bytes > Kernel.LocalBytes) throw warp.Fault(lane, $"out of bounds: {bytes} bytes at {offset} of {Kernel.LocalBytes} bytes of local memory");
                (region, offset) = (_local, offset + (long)warp.Thread(lane) * Kernel.LocalBytes);
                break;
            default:
                region = _memory.Find(address, out offset, out var wrong) ?? throw warp.Fault(lane, wrong);
                break;
        }
        if (offset + bytes > region.Length) throw warp.Fault(lane, $"out of bounds: {bytes} bytes at {offset} of {region.Name}, which has {region.Length}");
        if ((offset & (alignment - 1)) != 0) throw warp.Fault(lane, $"misaligned: {bytes} bytes at {offset} of {region.Name}");
        if (region.ReadOnly && (access & Access.Write) != 0) throw warp.Fault(lane, $"a write to {region.Name}, which is constant");
        Touch(warp, lane, region, offset, bytes, access);
        return region.Data + offset;
    }

    void Touch(Warp warp, int lane, Region region, long offset, int bytes, Access access)
    {
        var (first, last) = (offset >> 2, (offset + bytes - 1) >> 2);
        if (region.Written != null)
        {
            for (var word = first; word <= last; word++)
            {
                if ((access & Access.Read) == 0) region.Written[word] = 1;
                else if (region.Written[word] == 0) throw warp.Fault(lane, $"reads word {word} of {region.Name}, which was never written");
            }
        }
        if (region.Writes == null) return;
        var check = new RaceCheck(_firstBlock, _firstBlock + (uint)_number, _interval, (uint)warp.Thread(lane));
        for (var word = first; word <= last; word++)
            if (check.Touch(ref region.Writes[word], ref region.Reads[word], access) is { } wrong) throw warp.Fault(lane, $"a race: word {word} of {region.Name} {wrong}");
    }
}
