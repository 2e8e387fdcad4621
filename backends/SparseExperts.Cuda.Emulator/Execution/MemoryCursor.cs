using System.Runtime.CompilerServices;
using SparseExperts.Cuda.Emulator.Memory;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>
/// From the addresses of one instruction's lanes to memory, with every check on the way. Lanes mostly touch the same region, and mostly words whose
/// records say at once that nothing is wrong: both are found out first.
/// </summary>
unsafe ref partial struct MemoryCursor(Warp warp, Space space, int bytes, int alignment, Access access)
{
    readonly ulong _launch = warp.Block.LaunchRecords;
    readonly RaceCheck _first = warp.Block.Races(warp.Thread(0));
    Region? _region;
    byte* _data;
    long _from;
    ulong _start, _last;

    /// <summary>Where the bytes of a lane's access lie.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* At(int lane, ulong address)
    {
        if (_region is null || address - _start > _last || _region.IsLocal) Resolve(lane, address);
        var offset = address - _start;
        if ((offset & (ulong)(alignment - 1)) != 0) throw warp.Fault(lane, $"misaligned: {bytes} bytes at {offset} of {_region!.Name}");
        Touch(lane, _from + (long)offset);
        return _data + offset;
    }

    void Resolve(int lane, ulong address)
    {
        (_region, _start, _from, var length) = warp.Block.Resolve(warp, lane, space, address);
        var offset = address - _start;
        if (length < bytes || offset > (ulong)(length - bytes))
            throw warp.Fault(lane, $"out of bounds: {bytes} bytes at {(long)offset} of {_region.Name}, which has {length}");
        if (_region.ReadOnly && (access & Access.Write) != 0) throw warp.Fault(lane, $"a write to {_region.Name}, which is constant");
        _last = (ulong)(length - bytes);
        _data = _region.Data + _from;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly void Touch(int lane, long offset)
    {
        var region = _region!;
        for (long word = offset >> 2, end = (offset + bytes - 1) >> 2; word <= end; word++)
        {
            if (region.Written != null)
            {
                if ((access & Access.Read) == 0) region.Written[word] = 1;
                else if (region.Written[word] == 0) throw warp.Fault(lane, $"reads word {word} of {region.Name}, which was never written");
            }
            if (region.Writes == null) continue;
            var (isWhole, isUpper) = (bytes >= sizeof(uint), (offset & 2) != 0);
            if (!isWhole) region.SplitWords();
            if (isWhole || !isUpper) Order(lane, word, region.Writes, region.Reads);
            if (region.UpperWrites != null && (isWhole || isUpper)) Order(lane, word, region.UpperWrites, region.UpperReads);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly void Order(int lane, long word, ulong* writes, ulong* reads)
    {
        var self = _first.Record(lane);
        var isNoted = access switch
        {
            Access.Read => RaceCheck.NotesRead(self, _launch, writes[word], ref reads[word]),
            Access.Read | Access.NonCoherent => RaceCheck.NotesNonCoherentRead(self, _launch, writes[word], ref reads[word]),
            Access.Write => RaceCheck.NotesWrite(self, _launch, ref writes[word], reads[word]),
            _ => false,
        };
        if (!isNoted && warp.Block.Races(warp.Thread(lane)).Touch(ref writes[word], ref reads[word], access) is { } wrong)
            throw warp.Fault(lane, $"a race: word {word} of {_region!.Name} {wrong}");
    }
}
