using System.Numerics;
using SparseExperts.Cuda.Emulator.Memory;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>
/// Reads as most are: all lanes read the same words, or each those behind the words of the lane before. Four words at a time are checked and noted where
/// records show at a glance that nothing is wrong; whatever else there is goes lane by lane, which says the same.
/// </summary>
unsafe ref partial struct MemoryCursor
{
    const uint FourWritten = 0x01010101;

    /// <summary>Touches what the lanes read, or answers false, and then the lanes read one by one.</summary>
    /// <param name="first">The words of lane 0, whether it takes part or not.</param>
    /// <param name="step">Bytes from a lane's words to those of the next; 0 where all lanes read the same.</param>
    public bool ReadsRow(Place place, uint lanes, out byte* first, out uint step)
    {
        first = null;
        step = 0;
        if (BitOperations.PopCount(lanes) < 2) return false;
        var r = warp.Registers;
        int lowest = BitOperations.TrailingZeroCount(lanes), next = BitOperations.TrailingZeroCount(lanes & (lanes - 1));
        ulong address = place.Of(r, lowest), apart = place.Of(r, next) - address;
        if (apart == (ulong)(next - lowest) * (uint)bytes) step = (uint)bytes;
        else if (apart != 0) return false;
        if (!place.IsRow(r, lanes, address - (ulong)lowest * step, step)) return false;

        if (_region is null || address - _start > _last) Resolve(lowest, address);
        var offset = address - _start;
        var length = (ulong)(31 - BitOperations.LeadingZeroCount(lanes) - lowest) * step;
        if (_region!.IsLocal || _region.UpperWrites != null || offset % (ulong)alignment != 0 || offset + length > _last) return false;
        var from = _from + (long)offset - lowest * step;
        first = _region.Data + from;
        return step == 0 ? ReadsSame(from >> 2, lanes) : ReadsBehindEachOther(from >> 2, lanes);
    }

    /// <summary>The first and the last lane stand for all.</summary>
    readonly bool ReadsSame(long word, uint lanes)
    {
        var (region, behind) = (_region!, word + bytes / sizeof(uint));
        for (; word < behind; word++)
        {
            if (region.Written != null && region.Written[word] == 0) return false;
            if (region.Writes == null) continue;
            var write = region.Writes[word];
            if (write >= _launch && ((access & Access.NonCoherent) != 0 || !RaceCheck.IsBeforeBarrier(write, _first.Record(0)))) return false;
            Order(BitOperations.TrailingZeroCount(lanes), word, region.Writes, region.Reads);
            Order(31 - BitOperations.LeadingZeroCount(lanes), word, region.Writes, region.Reads);
        }
        return true;
    }

    /// <param name="words">The first word of lane 0.</param>
    readonly bool ReadsBehindEachOther(long words, uint lanes)
    {
        var region = _region!;
        var each = bytes / sizeof(uint);
        var together = 4 / each;            // lanes that read four words
        var all = (1u << together) - 1;
        for (var lane = 0; lane < 32; lane += together)
        {
            var word = words + lane * each;
            var taking = lanes >> lane & all;
            if (taking == all)
            {
                if (region.Written != null && *(uint*)(region.Written + word) != FourWritten) return false;
                if (region.Writes == null) continue;
                if (!RaceCheck.NotesFourReads(_first.Records(lane, each), _launch, region.Writes + word, region.Reads + word, access)) return false;
            }
            else for (; taking != 0; taking &= taking - 1)
            {
                var one = BitOperations.TrailingZeroCount(taking);
                Touch(lane + one, (word + one * each) * sizeof(uint));
            }
        }
        return true;
    }
}
