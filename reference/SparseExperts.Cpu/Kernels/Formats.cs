using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

/// <summary>Between float32 and the formats of two bytes: rounding to nearest even one way, exact the other.</summary>
static unsafe class Formats
{
    /// <summary>Numbers on the way from a narrow format to the other.</summary>
    const int Between = 256;

    public static void Cast(ElementType fromType, byte* from, ElementType toType, byte* to, int count)
    {
        var (wide, narrow) = (!fromType.IsNarrow(), toType.IsNarrow());
        if (fromType == toType) new ReadOnlySpan<byte>(from, count * fromType.Bytes()).CopyTo(new(to, count * toType.Bytes()));
        else if (wide) Narrow(toType, new((float*)from, count), new((ushort*)to, count));
        else if (!narrow) Widen(fromType, new((ushort*)from, count), new((float*)to, count));
        else
        {
            var some = stackalloc float[Between];
            for (var i = 0; i < count; i += Between)
            {
                var length = Math.Min(Between, count - i);
                Widen(fromType, new((ushort*)from + i, length), new(some, length));
                Narrow(toType, new(some, length), new((ushort*)to + i, length));
            }
        }
    }

    public static void Narrow(ElementType type, ReadOnlySpan<float> from, Span<ushort> to)
    {
        switch (type)
        {
            case ElementType.Float16: TensorPrimitives.ConvertToHalf(from, MemoryMarshal.Cast<ushort, Half>(to)); break;
            case ElementType.BFloat16: ToBFloat16(from, to); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of two bytes");
        }
    }

    public static void Widen(ElementType type, ReadOnlySpan<ushort> from, Span<float> to)
    {
        switch (type)
        {
            case ElementType.Float16: TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<ushort, Half>(from), to); break;
            case ElementType.BFloat16: FromBFloat16(from, to); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of two bytes");
        }
    }

    /// <summary>32 numbers at a time: the upper halves of what <see cref="RoundToBFloat16Map"/> makes of them.</summary>
    static void ToBFloat16(ReadOnlySpan<float> from, Span<ushort> to)
    {
        var i = 0;
        fixed (float* x = from)
        fixed (ushort* y = to)
            for (; i + 32 <= from.Length; i += 32) Vector512.Narrow(Upper(Vector512.Load(x + i)), Upper(Vector512.Load(x + i + 16))).Store(y + i);
        for (; i < from.Length; i++) to[i] = SparseExperts.Narrow.Bits(ElementType.BFloat16, from[i]);
    }

    /// <summary>Sixteen bfloat16 in the lower halves of words. A NaN is made quiet, so that it has a digit in the half that stays.</summary>
    static Vector512<uint> Upper(Vector512<float> x)
    {
        var rounded = Vector512.ShiftRightLogical(new RoundToBFloat16Map().Invoke(x, default, default, default).AsUInt32(), 16);
        return rounded | (Vector512.IsNaN(x).AsUInt32() & Vector512.Create(0x40u));
    }

    static void FromBFloat16(ReadOnlySpan<ushort> from, Span<float> to)
    {
        var i = 0;
        fixed (ushort* x = from)
        fixed (float* y = to)
            for (; i + 32 <= from.Length; i += 32)
            {
                var (lower, upper) = Vector512.Widen(Vector512.Load(x + i));
                Vector512.ShiftLeft(lower, 16).AsSingle().Store(y + i);
                Vector512.ShiftLeft(upper, 16).AsSingle().Store(y + i + 16);
            }
        for (; i < from.Length; i++) to[i] = SparseExperts.Narrow.Value(ElementType.BFloat16, from[i]);
    }
}
