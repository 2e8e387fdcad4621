using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Memory;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>mov, cvta, cvt, ld, st, atom and red.</summary>
sealed partial class Decoder
{
    Operation MoveOperation(PtxStatement s)
    {
        var size = PtxTypes.Size(s.Type);
        if (s.Operands[0].Kind == OperandKind.Vector) return Unpack(s.Operands[0].Items!, Operand(1, size));
        var d = Value(0, size);
        if (s.Operands[1].Kind == OperandKind.Vector) return Pack(d, s.Operands[1].Items!, size);
        if (size == 0) return new Logic(d.Offset, Predicate(1), Predicate(1), static (a, _) => a);
        if (d.Size != size) throw Error($"{s.Operands[0].Name} has not {size} bytes");
        var a = Row(1, size);
        return size == 8 ? new Move<ulong>(d.Offset, a) : new Move<uint>(d.Offset, a);
    }

    unsafe Operation Unpack(PtxOperand[] to, Register from)
    {
        var shift = 8 * from.Size / to.Length;
        var parts = to.Select((t, i) => (Register: t.Kind == OperandKind.Discarded ? (Register?)null : Value(t, shift / 8), Shift: i * shift)).ToArray();
        var mask = (1UL << shift) - 1;
        return new EachLane((warp, lane) =>
        {
            var r = warp.Registers;
            var value = Operation.Get(r + from.Offset, from.Size, lane);
            foreach (var part in parts)
                if (part.Register is { } d) Operation.Put(r + d.Offset, d.Size, lane, (value >> part.Shift) & mask);
        });
    }

    unsafe Operation Pack(Register to, PtxOperand[] from, int size)
    {
        var shift = 8 * size / from.Length;
        var parts = from.Select(f => Operand(f, shift / 8)).ToArray();
        return new EachLane((warp, lane) =>
        {
            var r = warp.Registers;
            var value = 0UL;
            for (var i = 0; i < parts.Length; i++) value |= Operation.Get(r + parts[i].Offset, parts[i].Size, lane) << (i * shift);
            Operation.Put(r + to.Offset, to.Size, lane, value);
        });
    }

    /// <summary>Between generic addresses and those of a space: only shared and local memory have a window.</summary>
    Operation AddressOperation(PtxStatement s)
    {
        var size = PtxTypes.Size(s.Type);
        if (size != 8) throw Error("addresses have 64 bits");
        var (d, a) = (Value(0, 8), Row(1, 8));
        var window = SpaceOf(s) switch
        {
            Space.Shared => Addresses.SharedWindow,
            Space.Local => Addresses.LocalWindow,
            Space.Generic => throw Error("a space that is not known here"),
            _ => 0UL,
        };
        if (s.Has("to")) window = 0 - window;
        return new Binary<ulong>(d.Offset, a, Constant(window, 8).Offset, static (x, y) => x + y);
    }

    Operation ConvertOperation(PtxStatement s)
    {
        var (to, from) = (s.Parts[^2], s.Parts[^1]);
        var (d, size) = (Value(0, PtxTypes.Size(to) is var bytes && bytes < 2 ? 2 : bytes), PtxTypes.Size(from));
        var a = AtLeast(s.Operands[1], Math.Max(size, 2));
        if (a.Size == PtxTypes.Size(from) && d.Size == PtxTypes.Size(to) && Vectors(s, d.Offset, a.Offset) is { } vectors) return vectors;
        var function = Conversions.Of(s);
        var (narrow, signed) = (PtxTypes.Size(to) < d.Size && !PtxTypes.IsFloat(to), to);
        return new Lanes1(d, a, narrow ? x => Conversions.Extend(function(x), signed) : function);
    }

    /// <summary>Conversions that are frequent, many lanes at a time.</summary>
    static Operation? Vectors(PtxStatement s, int d, int a) => s.Opcode switch
    {
        "cvt.s64.s32" => new Widened(d, a, a, true, static (x, _) => x),
        "cvt.u64.u32" => new Widened(d, a, a, false, static (x, _) => x),
        "cvt.u32.u64" => new Narrowed(d, a),
        "cvt.rn.f32.s32" => new Between<int, float>(d, a, static x => Vector256.ConvertToSingle(x)),
        "cvt.rzi.s32.f32" => new Between<float, int>(d, a, static x => Vector256.ConvertToInt32(x)),
        _ => null,
    };

    Operation LoadOperation(PtxStatement s)
    {
        var type = TypeOf(s);
        var to = Items(s.Operands[0]).Select(o => o.Kind == OperandKind.Discarded ? (Register?)null : Value(o, Math.Max(type.Bytes, 2))).ToArray();
        if (s.Has("param")) return Parameter(s, type, [.. to.Select(r => r!.Value)]);
        return new LoadMemory(PlaceOf(s, s.Operands[1]), type, to, Access.Read | (s.Has("nc") ? Access.NonCoherent : 0));
    }

    Operation StoreOperation(PtxStatement s)
    {
        var type = TypeOf(s);
        var from = Items(s.Operands[1]).Select(o => AtLeast(o, type.Bytes)).ToArray();
        return new StoreMemory(PlaceOf(s, s.Operands[0]), type, from);
    }

    Operation Parameter(PtxStatement s, MemoryType type, Register[] to)
    {
        var place = s.Operands[1].Items![0];
        var parameter = kernel.Parameters.Find(p => p.Name == place.Name) ?? throw Error($"there is no parameter {place.Name}");
        if (place.Value < 0 || place.Value + type.Bytes * to.Length > parameter.Size) throw Error("leaves the parameter");
        return new LoadParameter(parameter.Offset + (int)place.Value, type, to);
    }

    Operation AtomicOperation(PtxStatement s)
    {
        var has = s.Parts[0] == "atom" ? 1 : 0;
        var size = PtxTypes.Size(s.Type);
        if (PtxTypes.IsFloat(s.Type)) throw Error("a float atomic, whose order of sums no one knows; use another way to add");
        var signed = s.Type[0] == 's';
        Func<ulong, ulong, ulong, ulong> function = s.Parts[^2] switch
        {
            "add" => static (m, b, _) => m + b,
            "exch" => static (_, b, _) => b,
            "cas" => static (m, b, c) => m == b ? c : m,
            "and" => static (m, b, _) => m & b,
            "or" => static (m, b, _) => m | b,
            "xor" => static (m, b, _) => m ^ b,
            "inc" => static (m, b, _) => m >= b ? 0 : m + 1,
            "dec" => static (m, b, _) => m == 0 || m > b ? b : m - 1,
            "min" when signed => (m, b, _) => Signed(m, size) < Signed(b, size) ? m : b,
            "max" when signed => (m, b, _) => Signed(m, size) > Signed(b, size) ? m : b,
            "min" => static (m, b, _) => Math.Min(m, b),
            "max" => static (m, b, _) => Math.Max(m, b),
            _ => throw Error("an atomic operation that is not known here"),
        };
        Register? c = s.Operands.Length > 2 + has ? Operand(2 + has, size) : null;
        Register? to = has == 1 && s.Operands[0].Kind != OperandKind.Discarded ? Value(0, size) : null;
        return new AtomicMemory(PlaceOf(s, s.Operands[has]), size, to, Operand(1 + has, size), c, function);
    }

    /// <summary>A register may be wider than what is read of it.</summary>
    Register AtLeast(PtxOperand operand, int size) =>
        operand.Kind == OperandKind.Register && operand.Register.Size >= size ? operand.Register : Operand(operand, size);

    static long Signed(ulong x, int size) => size switch { 2 => (short)x, 4 => (int)x, _ => (long)x };

    static PtxOperand[] Items(PtxOperand operand) => operand.Kind == OperandKind.Vector ? operand.Items! : [operand];

    MemoryType TypeOf(PtxStatement s) => PtxTypes.Size(s.Type) is > 0 and var size ? new(size, s.Type[0] == 's') : throw Error($"memory of type {s.Type}");

    static Space SpaceOf(PtxStatement s) =>
        s.Has("global") ? Space.Global : s.Has("shared") ? Space.Shared : s.Has("local") ? Space.Local : s.Has("const") ? Space.Const : Space.Generic;

    Place PlaceOf(PtxStatement s, PtxOperand memory)
    {
        if (memory.Kind != OperandKind.Memory) throw Error("a memory operand was expected");
        var at = memory.Items![0];
        var row = at.Kind == OperandKind.Register ? at.Register : Operand(at, 8);
        return row.Size >= 4 ? new(SpaceOf(s), row, memory.Value) : throw Error("an address of less than 32 bits");
    }
}
