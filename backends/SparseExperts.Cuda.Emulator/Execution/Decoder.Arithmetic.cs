using System.Numerics;
using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Integer arithmetic and what moves bits.</summary>
sealed partial class Decoder
{
    /// <summary>The operation, or null where the name is not known.</summary>
    Operation? ArithmeticOperation(PtxStatement s)
    {
        if (s.Parts.Length < 2) return null;
        if (PtxTypes.IsFloat(s.Type)) return FloatOperation(s);
        if (s.Has("sat") || s.Has("cc")) return null;
        var (type, size) = (s.Type, PtxTypes.Size(s.Type));
        if (size < 2) return null;
        var signed = PtxTypes.IsSigned(type);
        return s.Parts[0] switch
        {
            "add" => size == 8 ? Two<ulong>(8, static (a, b) => a + b) : Narrow(size, static (a, b) => a + b),
            "sub" => size == 8 ? Two<ulong>(8, static (a, b) => a - b) : Narrow(size, static (a, b) => a - b),
            "mul" or "mul24" or "mad" or "mad24" when s.Parts[0].EndsWith("24", StringComparison.Ordinal) => null,
            "mul" when s.Has("lo") => size == 8 ? Two<ulong>(8, static (a, b) => a * b) : Narrow(size, static (a, b) => a * b),
            "mul" when s.Has("wide") => Wide(size, signed),
            "mul" when s.Has("hi") && type == "u32" => Two<uint>(4, HighUnsigned),
            "mul" when s.Has("hi") => Scalar2(size, (a, b) => High(a, b, type)),
            "mad" when s.Has("lo") && size == 8 => Three<ulong>(8, static (a, b, c) => a * b + c),
            "mad" when s.Has("lo") => size == 4 ? Three<uint>(4, static (a, b, c) => a * b + c) : Scalar3(2, static (a, b, c) => a * b + c),
            "mad" when s.Has("wide") => new Lanes3(
                Value(0, 2 * size), Operand(1, size), Operand(2, size), Operand(3, 2 * size),
                (a, b, c) => Conversions.Extend(a, type) * Conversions.Extend(b, type) + c),
            "mad" when s.Has("hi") => Scalar3(size, (a, b, c) => High(a, b, type) + c),
            "div" when signed => Scalar2(size, (a, b) => Signed(b, size) == -1 ? 0 - a : (ulong)(Signed(a, size) / Signed(b, size)), true),
            "div" => Scalar2(size, static (a, b) => a / b, true),
            "rem" when signed => Scalar2(size, (a, b) => Signed(b, size) == -1 ? 0 : (ulong)(Signed(a, size) % Signed(b, size)), true),
            "rem" => Scalar2(size, static (a, b) => a % b, true),
            "neg" => size == 8 ? One<long>(8, static a => -a) : size == 4 ? One<int>(4, static a => -a) : Scalar1(2, static a => 0 - a),
            "abs" when size == 8 => One<long>(8, static a => Vector256.Abs(a)),
            "abs" => size == 4 ? One<int>(4, static a => Vector256.Abs(a)) : Scalar1(2, static a => (ulong)Math.Abs((int)(short)a)),
            "min" or "max" => Extreme(s.Parts[0] == "min", type, size),
            "shl" => Shift(size, size == 8 ? static (a, n) => a << n : static (a, n) => a << n, false),
            "shr" when signed => Shift(size, (a, n) => (ulong)(Signed(a, size) >> n), true),
            "shr" => Shift(size, static (a, n) => a >> n, false),
            "popc" => new Lanes1(Value(0, 4), Operand(1, size), static a => (ulong)BitOperations.PopCount(a)),
            "clz" => new Lanes1(Value(0, 4), Operand(1, size), a => (ulong)(BitOperations.LeadingZeroCount(a) - (64 - 8 * size))),
            "brev" => Scalar1(size, size == 8 ? Reverse : static a => Reverse(a) >> 32),
            "bfe" => new Lanes3(Value(0, size), Operand(1, size), Operand(2, 4), Operand(3, 4), (a, b, c) => Extract(a, b, c, 8 * size, signed)),
            "bfi" => Insert(size),
            "prmt" when s.Type == "b32" && s.Parts.Length == 2 => Scalar3(4, Permute),
            "shf" when size == 4 => Funnel(s.Has("l"), s.Has("wrap")),
            "cnot" => Scalar1(size, static a => a == 0 ? 1UL : 0),
            _ => null,
        };
    }

    Unary<T> One<T>(int size, UnaryFunction<T> f) where T : unmanaged => new(Value(0, size).Offset, Row(1, size), f);
    Binary<T> Two<T>(int size, BinaryFunction<T> f) where T : unmanaged => new(Value(0, size).Offset, Row(1, size), Row(2, size), f);
    Ternary<T> Three<T>(int size, TernaryFunction<T> f) where T : unmanaged => new(Value(0, size).Offset, Row(1, size), Row(2, size), Row(3, size), f);
    Lanes1 Scalar1(int size, Func<ulong, ulong> f) => new(Value(0, size), Operand(1, size), f);
    Lanes2 Scalar2(int size, Func<ulong, ulong, ulong> f, bool division = false) => new(Value(0, size), Operand(1, size), Operand(2, size), f, division);
    Lanes3 Scalar3(int size, Func<ulong, ulong, ulong, ulong> f) => new(Value(0, size), Operand(1, size), Operand(2, size), Operand(3, size), f);

    /// <summary>32 bits, or the low 16 of them.</summary>
    Binary<uint> Narrow(int size, BinaryFunction<uint> f) => size == 4 ? Two(4, f) : Two<uint>(2, (a, b) => f(a, b) & Vector256.Create(0xffffu));

    Operation Wide(int size, bool signed)
    {
        var (d, a, b) = (Value(0, 2 * size), Operand(1, size), Operand(2, size));
        if (size == 4) return new Widened(d.Offset, a.Offset, b.Offset, signed, static (x, y) => x * y);
        return signed ? new Lanes2(d, a, b, static (x, y) => (ulong)((short)x * (short)y)) : new Lanes2(d, a, b, static (x, y) => x * y);
    }

    static Vector256<uint> HighUnsigned(Vector256<uint> a, Vector256<uint> b)
    {
        var ((lowA, highA), (lowB, highB)) = (Vector256.Widen(a), Vector256.Widen(b));
        return Vector256.Narrow((lowA * lowB) >>> 32, (highA * highB) >>> 32);
    }

    static ulong High(ulong a, ulong b, string type) => type switch
    {
        "s64" => (ulong)Math.BigMul((long)a, (long)b, out _),
        "u64" => Math.BigMul(a, b, out _),
        "s32" => (ulong)((long)(int)a * (int)b >> 32),
        "u32" => a * b >> 32,
        "s16" => (ulong)((short)a * (short)b >> 16),
        _ => a * b >> 16,
    };

    Operation Extreme(bool min, string type, int size) => type switch
    {
        "s32" => min ? Two<int>(size, static (a, b) => Vector256.Min(a, b)) : Two<int>(size, static (a, b) => Vector256.Max(a, b)),
        "u32" or "u16" => min ? Two<uint>(size, static (a, b) => Vector256.Min(a, b)) : Two<uint>(size, static (a, b) => Vector256.Max(a, b)),
        "s64" => min ? Two<long>(size, static (a, b) => Vector256.Min(a, b)) : Two<long>(size, static (a, b) => Vector256.Max(a, b)),
        "u64" => min ? Two<ulong>(size, static (a, b) => Vector256.Min(a, b)) : Two<ulong>(size, static (a, b) => Vector256.Max(a, b)),
        _ => min ? Scalar2(2, static (a, b) => (ulong)Math.Min((short)a, (short)b)) : Scalar2(2, static (a, b) => (ulong)Math.Max((short)a, (short)b)),
    };

    /// <summary>Shifts by the type's width or more leave nothing, or copies of the sign.</summary>
    Operation Shift(int size, Func<ulong, int, ulong> f, bool signed)
    {
        var bits = 8 * size;
        if (size > 2 && _at.Operands[2] is { Kind: OperandKind.Immediate, Value: >= 0 } amount && amount.Value < bits)
        {
            var by = (int)amount.Value;
            var left = _at.Parts[0] == "shl";
            if (size == 8) return left ? One<ulong>(8, a => a << by) : signed ? One<long>(8, a => a >> by) : One<ulong>(8, a => a >> by);
            return left ? One<uint>(4, a => a << by) : signed ? One<int>(4, a => a >> by) : One<uint>(4, a => a >> by);
        }
        return new Lanes2(Value(0, size), Operand(1, size), Operand(2, 4), (a, n) => n < (ulong)bits ? f(a, (int)n) : signed ? f(a, bits - 1) : 0);
    }

    static ulong Reverse(ulong a)
    {
        var result = 0UL;
        for (var i = 0; i < 64; i++, a >>= 1) result = (result << 1) | (a & 1);
        return result;
    }

    static ulong Extract(ulong a, ulong start, ulong length, int bits, bool signed)
    {
        int from = (int)(start & 255), count = (int)(length & 255);
        var sign = count == 0 ? 0 : a >> Math.Min(from + count - 1, bits - 1) & 1;
        var result = 0UL;
        for (var i = 0; i < bits; i++)
            result |= (i < count && from + i < bits ? a >> (from + i) & 1 : signed ? sign : 0) << i;
        return result;
    }

    Operation Insert(int size)
    {
        var (d, a, b, start, length) = (Value(0, size), Operand(1, size), Operand(2, size), Operand(3, 4), Operand(4, 4));
        unsafe
        {
            return new EachLane((warp, lane) =>
            {
                var r = warp.Registers;
                ulong from = Operation.Get(r + start.Offset, 4, lane) & 255, count = Operation.Get(r + length.Offset, 4, lane) & 255;
                var mask = from > 63 ? 0 : (count > 63 ? ulong.MaxValue : (1UL << (int)count) - 1) << (int)from;
                var moved = from > 63 ? 0 : Operation.Get(r + a.Offset, size, lane) << (int)from;
                Operation.Put(r + d.Offset, d.Size, lane, (moved & mask) | (Operation.Get(r + b.Offset, size, lane) & ~mask));
            });
        }
    }

    /// <summary>Byte i of the result is the byte of (b, a) that digit i of c names; its bit 3 asks for copies of the sign.</summary>
    static ulong Permute(ulong a, ulong b, ulong c)
    {
        var both = b << 32 | a;
        var result = 0UL;
        for (var i = 0; i < 4; i++)
        {
            var digit = (int)(c >> (4 * i)) & 15;
            var value = both >> (8 * (digit & 7)) & 255;
            if (digit > 7) value = (value & 128) != 0 ? 255u : 0;
            result |= value << (8 * i);
        }
        return result;
    }

    Lanes3 Funnel(bool left, bool wrap) => new(Value(0, 4), Operand(1, 4), Operand(2, 4), Operand(3, 4), (a, b, c) =>
    {
        var both = b << 32 | a;
        var n = (int)(wrap ? c & 31 : Math.Min(c, 32));
        return left ? both << n >> 32 : both >> n;
    });
}
