using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Float arithmetic as PTX has it: IEEE with one rounding; a result that is not a number has the bits 0x7fffffff.</summary>
static class Floats
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Plain(Vector256<float> x) =>
        Vector256.ConditionalSelect(Vector256.Equals(x, x), x, Vector256.Create(0x7fffffffu).AsSingle());

    public static float Single(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);
    public static double Double(ulong bits) => BitConverter.UInt64BitsToDouble(bits);
    public static float Half(ulong bits) => (float)BitConverter.UInt16BitsToHalf((ushort)bits);

    public static ulong Bits(float value) => float.IsNaN(value) ? 0x7fffffff : BitConverter.SingleToUInt32Bits(value);
    public static ulong Bits(double value) => BitConverter.DoubleToUInt64Bits(value);
    public static ulong Bits(Half value) => System.Half.IsNaN(value) ? (ulong)0x7fff : BitConverter.HalfToUInt16Bits(value);

    /// <summary>An unsigned number as the nearest float; large ones lose their last bit into the one before, which rounds the same.</summary>
    public static float FromUnsigned(ulong value) => value <= long.MaxValue ? (long)value : 2 * (float)(long)((value >> 1) | (value & 1));

    public static double DoubleFromUnsigned(ulong value) => value <= long.MaxValue ? (long)value : 2 * (double)(long)((value >> 1) | (value & 1));

    /// <summary>The integer of so many bits nearest to a float that was rounded already; beyond the ends the ends, and 0 for what is not a number.</summary>
    public static ulong ToInteger(double value, int bits, bool signed)
    {
        if (double.IsNaN(value)) return 0;
        var limit = Math.ScaleB(1.0, signed ? bits - 1 : bits);
        if (signed) return value >= limit ? (1UL << (bits - 1)) - 1 : value < -limit ? 1UL << (bits - 1) : (ulong)(long)value;
        return value >= limit ? (bits == 64 ? ulong.MaxValue : (1UL << bits) - 1) : value <= 0 ? 0 : (ulong)value;
    }

    public static double Round(double value, string rounding) => rounding switch
    {
        "rni" => Math.Round(value, MidpointRounding.ToEven),
        "rzi" => Math.Truncate(value),
        "rmi" => Math.Floor(value),
        _ => Math.Ceiling(value),
    };
}
