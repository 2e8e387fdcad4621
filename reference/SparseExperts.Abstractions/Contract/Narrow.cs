namespace SparseExperts;

/// <summary>
/// Numbers in two bytes, as storages of type <see cref="ElementType.BFloat16"/> and <see cref="ElementType.Float16"/> hold them. Writing rounds to nearest
/// even as <see cref="Rounding"/> defines it; reading is exact. A NaN stays a NaN, which one is open.
/// </summary>
public static class Narrow
{
    const ushort QuietBFloat16 = 0x0040;

    /// <summary>Whether numbers of a type have two bytes.</summary>
    public static bool IsNarrow(this ElementType type) => type is ElementType.BFloat16 or ElementType.Float16;

    /// <summary>Bytes of a number or an integer; a backend's own reals count as float32.</summary>
    public static int Bytes(this ElementType type) => type.IsNarrow() ? sizeof(ushort) : sizeof(float);

    /// <summary>The format that a narrow type rounds to.</summary>
    public static NumberFormat Format(this ElementType type) => type switch
    {
        ElementType.BFloat16 => NumberFormat.BFloat16,
        ElementType.Float16 => NumberFormat.Float16,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of two bytes"),
    };

    /// <summary>The bits of <paramref name="value"/> rounded once.</summary>
    public static ushort Bits(ElementType type, double value) => type switch
    {
        ElementType.BFloat16 => Upper((float)Rounding.To(NumberFormat.BFloat16, value)),
        ElementType.Float16 => BitConverter.HalfToUInt16Bits((Half)value),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of two bytes"),
    };

    /// <summary>The number that bits stand for.</summary>
    public static float Value(ElementType type, ushort bits) => type switch
    {
        ElementType.BFloat16 => BitConverter.UInt32BitsToSingle((uint)bits << 16),
        ElementType.Float16 => (float)BitConverter.UInt16BitsToHalf(bits),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of two bytes"),
    };

    /// <summary>A bfloat16 is the upper half of a float32; a NaN whose payload lies in the lower half must stay one.</summary>
    static ushort Upper(float value)
    {
        var upper = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
        return float.IsNaN(value) ? (ushort)(upper | QuietBFloat16) : upper;
    }
}
