namespace SparseExperts;

/// <summary>What rounding to a number format does: to nearest, ties to even, ±∞ beyond the largest number.</summary>
public static class Rounding
{
    /// <summary><paramref name="value"/> rounded once.</summary>
    public static double To(NumberFormat format, double value) => format switch
    {
        NumberFormat.Float64 => value,
        NumberFormat.Float32 => (float)value,
        NumberFormat.Float16 => (double)(Half)value,
        NumberFormat.BFloat16 => BFloat16(value),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown number format"),
    };

    /// <summary>Half a unit in the last place at a magnitude: the largest error of one rounding there.</summary>
    public static double HalfUnit(NumberFormat format, double magnitude)
    {
        var (digits, least) = Shape(format);
        return Math.Max(Math.ScaleB(magnitude, -digits), Math.ScaleB(1, least - digits));
    }

    /// <summary>The largest finite number.</summary>
    public static double Largest(NumberFormat format) => format switch
    {
        NumberFormat.Float64 => double.MaxValue,
        NumberFormat.Float32 => float.MaxValue,
        NumberFormat.Float16 => 65504,
        NumberFormat.BFloat16 => 3.3895313892515355e38,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown number format"),
    };

    /// <summary>Binary digits of the significand, and the exponent of the smallest normal number.</summary>
    static (int Digits, int Least) Shape(NumberFormat format) => format switch
    {
        NumberFormat.Float64 => (53, -1022),
        NumberFormat.Float32 => (24, -126),
        NumberFormat.Float16 => (11, -14),
        NumberFormat.BFloat16 => (8, -126),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown number format"),
    };

    /// <summary>Through float32 without rounding twice: what float32 lost decides ties of the second rounding.</summary>
    static double BFloat16(double value)
    {
        var single = (float)value;
        if (float.IsNaN(single) || float.IsInfinity(single)) return single;
        var bits = BitConverter.SingleToUInt32Bits(single);
        if ((bits & 0xFFFF) == 0x8000 && single != value)
        {
            var larger = Math.Abs(value) > Math.Abs(single);
            return BitConverter.UInt32BitsToSingle((bits & 0xFFFF0000) + (larger ? 0x10000u : 0));
        }
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
