using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Memory;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Where a memory instruction points: a row of addresses and bytes to add.</summary>
readonly record struct Place(Space Space, Register Base, long Offset)
{
    public unsafe ulong Of(byte* registers, int lane) =>
        (Base.Size == 8 ? ((ulong*)(registers + Base.Offset))[lane] : ((uint*)(registers + Base.Offset))[lane]) + (ulong)Offset;
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
    readonly int _bytes = type.Bytes * to.Length;

    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var cursor = new MemoryCursor(warp, place.Space, _bytes, _bytes, access);
        if (to is [{ Size: 4 } single] && type.Bytes == 4)
        {
            for (; lanes != 0; lanes &= lanes - 1)
            {
                var lane = Lowest(lanes);
                ((uint*)(r + single.Offset))[lane] = *(uint*)cursor.At(lane, place.Of(r, lane));
            }
            return;
        }
        for (; lanes != 0; lanes &= lanes - 1)
        {
            var lane = Lowest(lanes);
            var at = cursor.At(lane, place.Of(r, lane));
            for (var i = 0; i < to.Length; i++, at += type.Bytes)
                if (to[i] is { } register) Put(r + register.Offset, register.Size, lane, type.Read(at));
        }
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
