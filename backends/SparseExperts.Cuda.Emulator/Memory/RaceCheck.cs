using System.Numerics;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cuda.Emulator.Memory;

/// <summary>How a word is touched.</summary>
[Flags]
enum Access { Read = 1, Write = 2, Atomic = 4, NonCoherent = 8 }

/// <summary>
/// Who touches a word. Two touches of a word, one of them a write, must be ordered: by the end of a launch, by a barrier of the block, or be of one thread.
/// For every word the last write and the last reads are kept, each as block (counted over all launches), interval between barriers, thread and flags.
/// </summary>
readonly struct RaceCheck(uint firstBlock, uint block, uint interval, uint thread)
{
    const int ThreadShift = 4, IntervalShift = 14, BlockShift = 32;
    public const uint MaxInterval = (1u << (BlockShift - IntervalShift)) - 1;

    /// <summary>Flags of a write (atomic) and of reads (by ld.global.nc, by several threads of an interval, by several blocks).</summary>
    const ulong AtomicFlag = 1, NonCoherentFlag = 1, ManyThreads = 2, ManyBlocks = 4;

    readonly ulong _self = ((ulong)block << BlockShift) | ((ulong)interval << IntervalShift) | ((ulong)thread << ThreadShift);

    /// <summary>Records of a launch and of later ones are not below this.</summary>
    public static ulong FirstRecord(uint firstBlock) => (ulong)firstBlock << BlockShift;

    /// <summary>A touch, without flags, by the thread that is so many behind.</summary>
    public ulong Record(int behind) => _self + ((ulong)(uint)behind << ThreadShift);

    /// <summary>The same of four words, of which each thread touches so many, one or two or four.</summary>
    public Vector256<ulong> Records(int behind, int each) => Vector256.Create(Record(behind)) +
        (Vector256.Create(0UL, 1, 2, 3) >> BitOperations.Log2((uint)each) << ThreadShift);

    /// <summary>Notes a read by <paramref name="self"/> where the records show at a glance that it is ordered; else <see cref="Touch"/> decides.</summary>
    public static bool NotesRead(ulong self, ulong launch, ulong write, ref ulong reads)
    {
        if (write >= launch && !IsOrdered(write, self)) return false;
        reads = reads < launch ? self : self | Together(self, reads);
        return true;
    }

    /// <summary>The same of a read by ld.global.nc.</summary>
    public static bool NotesNonCoherentRead(ulong self, ulong launch, ulong write, ref ulong reads)
    {
        if (write >= launch) return false;
        reads = self | NonCoherentFlag | (reads < launch ? 0 : Together(self, reads));
        return true;
    }

    /// <summary>The same of a write.</summary>
    public static bool NotesWrite(ulong self, ulong launch, ref ulong write, ulong reads)
    {
        if (write >= launch && !IsOrdered(write, self)) return false;
        if (reads >= launch && ((reads & (NonCoherentFlag | ManyBlocks | ManyThreads)) != 0 || !IsOrdered(reads, self))) return false;
        write = self;
        return true;
    }

    /// <summary><see cref="NotesRead"/> of four words, of either kind of read.</summary>
    public static unsafe bool NotesFourReads(Vector256<ulong> selves, ulong launch, ulong* writes, ulong* reads, Access access)
    {
        Vector256<ulong> first = Vector256.Create(launch), write = Vector256.Load(writes), read = Vector256.Load(reads), apart = write ^ selves;
        var isOld = Vector256.LessThan(write, first);
        var isOrdered = IsZero(apart >> BlockShift) & (~IsZero(apart >> IntervalShift) | IsZero(apart >> ThreadShift));
        var isNonCoherent = (access & Access.NonCoherent) != 0;
        if ((isNonCoherent ? isOld : isOld | isOrdered) != Vector256<ulong>.AllBitsSet) return false;
        if (isNonCoherent) selves |= Vector256.Create(NonCoherentFlag);
        isOld = Vector256.LessThan(read, first);
        if (isOld != Vector256<ulong>.AllBitsSet)
        {
            // Together, of each.
            apart = read ^ selves;
            var ofOtherBlocks = ~IsZero(apart >> BlockShift);
            var bySeveral = IsZero(apart >> IntervalShift) & ~(IsZero(apart >> ThreadShift) & IsZero(read & Vector256.Create(ManyThreads)));
            var kept = (read & Vector256.Create(NonCoherentFlag | ManyBlocks))
                | (ofOtherBlocks & Vector256.Create(ManyBlocks)) | (bySeveral & Vector256.Create(ManyThreads));
            selves |= Vector256.AndNot(kept, isOld);
        }
        selves.Store(reads);
        return true;

        static Vector256<ulong> IsZero(Vector256<ulong> v) => Vector256.Equals(v, Vector256<ulong>.Zero);
    }

    /// <summary>A touch of this launch by the same block, before the last barrier.</summary>
    public static bool IsBeforeBarrier(ulong record, ulong self)
    {
        var apart = record ^ self;
        return apart >> BlockShift == 0 && apart >> IntervalShift != 0;
    }

    /// <summary>A touch of this launch by the thread itself, or by its block before the last barrier.</summary>
    static bool IsOrdered(ulong record, ulong self)
    {
        var apart = record ^ self;
        return apart >> BlockShift == 0 && (apart >> IntervalShift != 0 || apart >> ThreadShift == 0);
    }

    /// <summary>The flags of a read that joins those of its launch before.</summary>
    static ulong Together(ulong self, ulong reads)
    {
        var (kept, apart) = (reads & (NonCoherentFlag | ManyBlocks), reads ^ self);
        if (apart >> BlockShift != 0) return kept | ManyBlocks;
        return apart >> IntervalShift == 0 && (apart >> ThreadShift != 0 || (reads & ManyThreads) != 0) ? kept | ManyThreads : kept;
    }

    /// <summary>Notes a touch; answers what is wrong with it, or null.</summary>
    public string? Touch(ref ulong write, ref ulong reads, Access access)
    {
        var atomic = (access & Access.Atomic) != 0;
        if (InLaunch(write))
        {
            if ((access & Access.NonCoherent) != 0) return "is read by ld.global.nc and written in the same launch";
            if (!(atomic && (write & AtomicFlag) != 0))
            {
                if (BlockOf(write) != block) return $"was written by another block of this launch ({BlockOf(write) - firstBlock})";
                if (SameInterval(write) && ThreadOf(write) != thread) return $"was written by thread {ThreadOf(write)} of the block with no barrier between";
            }
        }
        if ((access & Access.Write) != 0)
        {
            if (InLaunch(reads))
            {
                if ((reads & NonCoherentFlag) != 0) return "is read by ld.global.nc and written in the same launch";
                if (BlockOf(reads) != block || (reads & ManyBlocks) != 0)
                    return $"was read by another block of this launch ({BlockOf(reads) - firstBlock} or before)";
                if (SameInterval(reads) && (ThreadOf(reads) != thread || (reads & ManyThreads) != 0))
                    return "was read by another thread of the block with no barrier between";
            }
            write = _self | (atomic ? AtomicFlag : 0);
        }
        else
        {
            var flags = (access & Access.NonCoherent) != 0 ? NonCoherentFlag : 0;
            reads = _self | flags | (InLaunch(reads) ? Together(_self, reads) : 0);
        }
        return null;
    }

    bool InLaunch(ulong record) => BlockOf(record) >= firstBlock;

    bool SameInterval(ulong record) => record >> IntervalShift == _self >> IntervalShift;

    static uint BlockOf(ulong record) => (uint)(record >> BlockShift);

    static uint ThreadOf(ulong record) => (uint)(record >> ThreadShift) & 1023;
}
