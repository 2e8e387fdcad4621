using System.Runtime.InteropServices;

namespace SparseExperts.Cuda.Emulator.Memory;

/// <summary>
/// Memory with exact bounds: an allocation, or an array of a block's shared memory. Beside its bytes it knows which words were written, and who touched them.
/// </summary>
sealed unsafe class Region : IDisposable
{
    public readonly byte* Data;
    public readonly long Length;
    public readonly string Name;
    public readonly ulong Address;

    /// <summary>A byte a word: 1 once it was written. Null where that is not checked.</summary>
    public readonly byte* Written;

    /// <summary>The last write and the last reads of every word, as <see cref="RaceCheck"/> keeps them. Null where that is not checked.</summary>
    public readonly ulong* Writes, Reads;

    /// <summary>The same of the upper halves of words, once anybody touches less than a word; the above is then of the lower halves.</summary>
    public ulong* UpperWrites, UpperReads;

    public bool ReadOnly;

    /// <summary>Every thread has a part of its own.</summary>
    public bool IsLocal;

    public Region(string name, ulong address, long length, EmulatorChecks checks)
    {
        (Name, Address, Length) = (name, address, length);
        var words = (length + 3) / 4;
        Data = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(length, 1), 256);
        new Span<uint>(Data, checked((int)(length / 4))).Fill(0xCDCDCDCD);
        if (checks.HasFlag(EmulatorChecks.Unwritten)) Written = (byte*)NativeMemory.AllocZeroed((nuint)words + 1);
        if (!checks.HasFlag(EmulatorChecks.Races)) return;
        Writes = (ulong*)NativeMemory.AllocZeroed((nuint)words + 1, 8);
        Reads = (ulong*)NativeMemory.AllocZeroed((nuint)words + 1, 8);
    }

    public long Words => (Length + 3) / 4;

    public Span<byte> Bytes(long offset, long count) => new(Data + offset, checked((int)count));

    public void MarkWritten(long offset, long count)
    {
        if (Written != null && count > 0) new Span<byte>(Written + offset / 4, checked((int)((offset + count - 1) / 4 - offset / 4 + 1))).Fill(1);
    }

    /// <summary>The first word of a range that was never written, or -1.</summary>
    public long FirstUnwritten(long offset, long count)
    {
        if (Written == null || count == 0) return -1;
        var at = new Span<byte>(Written + offset / 4, checked((int)((offset + count - 1) / 4 - offset / 4 + 1))).IndexOf((byte)0);
        return at < 0 ? -1 : offset / 4 + at;
    }

    /// <summary>From now on the halves of words are told apart; so far both were touched together.</summary>
    public void SplitWords()
    {
        if (UpperWrites != null) return;
        UpperWrites = Copied(Writes);
        UpperReads = Copied(Reads);

        ulong* Copied(ulong* records)
        {
            var bytes = (nuint)(Words + 1) * sizeof(ulong);
            var copy = (ulong*)NativeMemory.Alloc(bytes);
            NativeMemory.Copy(records, copy, bytes);
            return copy;
        }
    }

    /// <summary>Nothing was written or touched yet.</summary>
    public void Forget()
    {
        if (Written != null) new Span<byte>(Written, checked((int)Words)).Clear();
        if (Writes == null) return;
        new Span<ulong>(Writes, checked((int)Words)).Clear();
        new Span<ulong>(Reads, checked((int)Words)).Clear();
        NativeMemory.Free(UpperWrites);
        NativeMemory.Free(UpperReads);
        UpperWrites = UpperReads = null;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Data);
        NativeMemory.Free(Written);
        NativeMemory.Free(Writes);
        NativeMemory.Free(Reads);
        NativeMemory.Free(UpperWrites);
        NativeMemory.Free(UpperReads);
    }
}
