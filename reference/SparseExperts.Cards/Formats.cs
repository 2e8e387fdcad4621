namespace SparseExperts;

/// <summary>Cases of numbers in formats other than the backend's reals.</summary>
static class Formats
{
    public static readonly ElementType[] All = [ElementType.Real, ElementType.BFloat16, ElementType.Float16];

    /// <summary>
    /// Halfway between neighbours of bfloat16 and binary16, even and odd, and beside; the ends of their ranges and their smallest numbers; numbers that only
    /// float32 has; 0, ∞ and NaN.
    /// </summary>
    public static IReadOnlyList<double> Special { get; } =
    [
        .. from centre in (float[])
           [
               1 + 1 / 256f, 1 + 3 / 256f, 1 + 1 / 2048f, 1 + 3 / 2048f, 2047.5f, 65504, 65519.996f, 65520, 65536, 3.3895314e38f, 3.3961775e38f, float.MaxValue,
               6.1035156e-5f, 6.1005353e-5f, 5.9604645e-8f, 8.940697e-8f, 2.9802322e-8f, 1.1754944e-38f, 9.1835e-41f, 4.59177e-41f, 1.377532e-40f, 1e-44f,
           ]
           from value in (float[])[MathF.BitDecrement(centre), centre, MathF.BitIncrement(centre)]
           from sign in (float[])[1, -1]
           select (double)(value * sign),
        0, -0.0, 1, double.PositiveInfinity, double.NegativeInfinity, double.NaN,
    ];

    /// <summary>An op that moves <paramref name="input"/> to an output of the same shape.</summary>
    /// <param name="to">The output's format; the input's where it is left out.</param>
    public static OpCase Held(string op, OpInput input, string output, ElementType from, ElementType? to = null) => new(op)
    {
        Inputs = [In(from, input)],
        Outputs = [new(output, input.Rows, input.Columns) { Batch = 1, Type = to ?? from }],
    };

    /// <summary>The nearest numbers that the format has, held in it.</summary>
    public static OpInput In(ElementType type, OpInput input) =>
        type.IsNarrow() ? input with { Type = type, Values = Array.ConvertAll(input.Values, x => Rounding.To(type.Format(), x)) } : input;
}
