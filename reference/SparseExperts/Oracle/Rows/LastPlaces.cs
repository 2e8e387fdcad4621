namespace SparseExperts.Oracle;

/// <summary>How far two numbers lie apart in a format, counted in its own numbers.</summary>
static class LastPlaces
{
    /// <summary>
    /// Steps from one number of the format to the other; 0 for equal numbers, zeros of either sign among them; null where one of them is not finite and the
    /// other is another one.
    /// </summary>
    public static long? Between(NumberFormat format, double a, double b)
    {
        if (a == b || double.IsNaN(a) && double.IsNaN(b)) return 0;
        if (!double.IsFinite(a) || !double.IsFinite(b)) return null;
        var steps = (Int128)Place(format, a) - Place(format, b);
        return (long)Int128.Min(Int128.Abs(steps), long.MaxValue);
    }

    /// <summary>Whether two numbers are the same bits: zeros of two signs are not, whatever is no number is like any other.</summary>
    public static bool IsSame(double a, double b) =>
        BitConverter.DoubleToInt64Bits(a) == BitConverter.DoubleToInt64Bits(b) || double.IsNaN(a) && double.IsNaN(b);

    /// <summary>The place of a number among those of its format, in ascending order from 0.</summary>
    static long Place(NumberFormat format, double value)
    {
        var size = Math.Abs(value);
        long place = format switch
        {
            NumberFormat.Float64 => BitConverter.DoubleToInt64Bits(size),
            NumberFormat.Float32 => BitConverter.SingleToInt32Bits((float)size),
            NumberFormat.BFloat16 => BitConverter.SingleToInt32Bits((float)Rounding.To(format, size)) >> 16,
            NumberFormat.Float16 => BitConverter.HalfToInt16Bits((Half)size),
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown number format"),
        };
        return value < 0 ? -place : place;
    }
}
