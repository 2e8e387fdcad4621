using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Memory;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Where a memory instruction points: a row of addresses and bytes to add.</summary>
readonly record struct Place(Space Space, Register Base, long Offset)
{
    public unsafe ulong Of(byte* registers, int lane) =>
        (Base.Size == 8 ? ((ulong*)(registers + Base.Offset))[lane] : ((uint*)(registers + Base.Offset))[lane]) + (ulong)Offset;

    /// <summary>Whether the lanes that take part point to <paramref name="first"/> and a step further for each lane.</summary>
    public unsafe bool IsRow(byte* registers, uint lanes, ulong first, uint step)
    {
        var row = registers + Base.Offset;
        var seen = 0u;
        if (Base.Size == 8)
        {
            var expected = Vector256.Create(first - (ulong)Offset) + Vector256.Create(0UL, step, 2 * step, 3 * step);
            for (var part = 0; part < 8; part++, expected += Vector256.Create(4UL * step))
                seen |= Vector256.Equals(Vector256.Load((ulong*)row + 4 * part), expected).ExtractMostSignificantBits() << (4 * part);
        }
        else
        {
            var ahead = Vector256.Create(0, step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step);
            var expected = Vector256.Create((uint)(first - (ulong)Offset)) + ahead;
            for (var part = 0; part < 4; part++, expected += Vector256.Create(8 * step))
                seen |= Vector256.Equals(Vector256.Load((uint*)row + 8 * part), expected).ExtractMostSignificantBits() << (8 * part);
        }
        return (seen & lanes) == lanes;
    }
}

/// <summary>A value as memory has it: so many bytes, with a sign or without.</summary>
readonly record struct MemoryType(int Bytes, bool Signed)
{
    public unsafe ulong Read(byte* at) => (Bytes, Signed) switch
    {
        (1, false) => *at,
        (1, true) => (ulong)*(sbyte*)at,
        (2, false) => *(ushort*)at,
        (2, true) => (ulong)*(short*)at,
        (4, false) => *(uint*)at,
        (4, true) => (ulong)*(int*)at,
        _ => *(ulong*)at,
    };

    public unsafe void Write(byte* at, ulong value)
    {
        switch (Bytes)
        {
            case 1: *at = (byte)value; break;
            case 2: *(ushort*)at = (ushort)value; break;
            case 4: *(uint*)at = (uint)value; break;
            default: *(ulong*)at = value; break;
        }
    }
}

/// <summary>ld: one value or a vector of two or four.</summary>
sealed unsafe class LoadMemory(Place place, MemoryType type, Register?[] to, Access access) : Operation
{
    /// <summary>Tiles of 16 columns give the halves of a warp rows of their own.</summary>
    static readonly uint[] Halves = [0x0000FFFF, 0xFFFF0000];

    readonly int _bytes = type.Bytes * to.Length;

    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var cursor = new MemoryCursor(warp, place.Space, _bytes, _bytes, access);
        foreach (var half in Halves)
            if (type.Bytes == 4 && cursor.ReadsRow(place, lanes & half, out var first, out var step))
                for (var i = 0; i < to.Length; i++)
                {
                    if (to[i] is { } register) TakeRow(r + register.Offset, register.Size, first + i * sizeof(uint), step, lanes & half);
                }
            else One(ref cursor, r, lanes & half);
    }

    /// <summary>Lane by lane.</summary>
    void One(ref MemoryCursor cursor, byte* r, uint lanes)
    {
        for (; lanes != 0; lanes &= lanes - 1)
        {
            var lane = Lowest(lanes);
            var at = cursor.At(lane, place.Of(r, lane));
            for (var i = 0; i < to.Length; i++, at += type.Bytes)
                if (to[i] is { } register) Put(r + register.Offset, register.Size, lane, type.Read(at));
        }
    }

    /// <summary>A register of every lane from words that lie a step apart.</summary>
    void TakeRow(byte* row, int size, byte* first, uint step, uint lanes)
    {
        if (size != 4)
            for (; lanes != 0; lanes &= lanes - 1) Put(row, size, Lowest(lanes), type.Read(first + Lowest(lanes) * step));
        else if (step == 0)
            for (var part = 0; part < 4; part++) Store(row, part, Vector256.Create(*(uint*)first), lanes);
        else
            for (; lanes != 0; lanes &= lanes - 1) ((uint*)row)[Lowest(lanes)] = *(uint*)(first + Lowest(lanes) * step);
    }
}

/// <summary>st: one value or a vector. Lanes write in their turn.</summary>
sealed unsafe class StoreMemory(Place place, MemoryType type, Register[] from) : Operation
{
    readonly int _bytes = type.Bytes * from.Length;

    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var cursor = new MemoryCursor(warp, place.Space, _bytes, _bytes, Access.Write);
        for (var i = 0; i < 32; i++)
        {
            var lane = i ^ warp.Turn;
            if ((lanes >> lane & 1) == 0) continue;
            var at = cursor.At(lane, place.Of(r, lane));
            if (from.Length == 1 && type.Bytes == 4) *(uint*)at = *(uint*)(r + from[0].Offset + lane * from[0].Stride);
            else for (var j = 0; j < from.Length; j++, at += type.Bytes) type.Write(at, Get(r + from[j].Offset, from[j].Size, lane));
        }
    }
}

/// <summary>ld.param: the same bytes for every lane.</summary>
sealed unsafe class LoadParameter(int offset, MemoryType type, Register[] to) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        fixed (byte* parameters = warp.Block.Parameters)
            for (var i = 0; i < to.Length; i++)
            {
                var value = type.Read(parameters + offset + i * type.Bytes);
                var row = r + to[i].Offset;
                if (to[i].Size == 8) for (var part = 0; part < 8; part++) Store(row, part, Vector256.Create(value), lanes);
                else for (var part = 0; part < 4; part++) Store(row, part, Vector256.Create(to[i].Size == 2 ? (ushort)value : (uint)value), lanes);
            }
    }
}

/// <summary>
/// atom and red: memory becomes f(memory, b, c), the register what was there. Lanes go in their turn; blocks on several workers exclude each other.
/// </summary>
sealed unsafe class AtomicMemory(Place place, int bytes, Register? to, Register b, Register? c, Func<ulong, ulong, ulong, ulong> function) : Operation
{
    static readonly Lock Turn = new();

    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var type = new MemoryType(bytes, false);
        var cursor = new MemoryCursor(warp, place.Space, bytes, bytes, Access.Read | Access.Write | Access.Atomic);
        lock (Turn)
            for (var i = 0; i < 32; i++)
            {
                var lane = i ^ warp.Turn;
                if ((lanes >> lane & 1) == 0) continue;
                var at = cursor.At(lane, place.Of(r, lane));
                var before = type.Read(at);
                type.Write(at, function(before, Get(r + b.Offset, b.Size, lane), c is { } third ? Get(r + third.Offset, third.Size, lane) : 0));
                if (to is { } register) Put(r + register.Offset, register.Size, lane, before);
            }
    }
}
