using SparseExperts.Formats;

namespace SparseExperts.Oracle;

/// <summary>
/// Cases whose numbers were widened on the way to the file: numpy has no bfloat16, so that a bfloat16 engine's numbers arrive as float32. They are
/// recognised by their bits and can be read as if they had been stored as they were computed.
/// </summary>
static class StoredFormat
{
    /// <summary>Numbers with many significant bits that are needed before a format is believed, and the bits that any small fraction has.</summary>
    const int Telling = 16, PlainBits = 4;

    /// <summary>Parameters that engines keep wider than their weights: additive ones and norms.</summary>
    static readonly string[] Additive = ["bi", "bi_gate", "bo", "gate_up_bias", "output_bias", "in_norm", "post_norm"];

    /// <summary>The narrow formats, the one with fewer digits first: what it holds, the other may hold too.</summary>
    public static readonly NumberFormat[] Narrow = [NumberFormat.BFloat16, NumberFormat.Float16];

    /// <summary>Whether every number is one of the format.</summary>
    public static bool Holds(NumberFormat format, CaseTensor tensor) => FirstOutside(format, tensor) is null;

    /// <summary>The first number that the format does not have.</summary>
    public static double? FirstOutside(NumberFormat format, CaseTensor tensor)
    {
        foreach (var value in tensor.Values)
            if (Rounding.To(format, value) != value && !double.IsNaN(value)) return value;
        return null;
    }

    /// <summary>The tokens and the weights of the experts: what an engine computes in. Its router may be wider.</summary>
    public static IEnumerable<CaseTensor> Arithmetic(Case @case) => @case.Tensors.Where(t => t.Name is "x" || IsWeight(t.Name));

    static bool IsWeight(string name) => name.Split('.', 2) is ["experts" or "shared", var own] && !Additive.Contains(own);

    /// <summary>
    /// Whether at least 16 numbers have more than four significant bits: a float32 that has no more than eight of its 24 by chance is rare, a small
    /// fraction is not.
    /// </summary>
    public static bool Tells(IEnumerable<CaseTensor> tensors) => tensors.SelectMany(t => t.Values).Where(HasManyBits).Take(Telling).Count() == Telling;

    static bool HasManyBits(double value)
    {
        if (value == 0 || !double.IsFinite(value)) return false;
        var significand = BitConverter.DoubleToUInt64Bits(value) & ((1UL << 52) - 1) | 1UL << 52;
        return 53 - System.Numerics.BitOperations.TrailingZeroCount(significand) > PlainBits;
    }

    /// <summary>
    /// The case as if its tensors were stored in a format: tokens, weights, and each claim that holds only numbers of it. Logits that hold others were
    /// not rounded to it, whatever the tokens are.
    /// </summary>
    public static Case In(Case @case, NumberFormat format)
    {
        string dtype = format.DType();
        var computed = @case.Tensors.Where(t => IsClaim(t.Name) || t.Name is "x" || IsWeight(t.Name));
        CaseTensor[] stored = [.. computed.Where(t => IsFloat(t) && t.DType != dtype && Holds(format, t))];
        var held = @case.With(stored.Select(t => t with { DType = dtype }));
        var hasWideLogits = held.Find("claim.logits") is { } logits && logits.Format is NumberFormat.Float32 or NumberFormat.Float64;
        return hasWideLogits && held.Dialect is { LogitsDtype: null, RouterDtype: null } d ? held.Under(d with { LogitsDtype = NumberFormat.Float32 }) : held;
    }

    /// <summary>The case as if every float in it had been stored in float32.</summary>
    public static Case InFloat32(Case @case) =>
        @case.With(@case.Tensors.Where(t => t.Format is NumberFormat.BFloat16 or NumberFormat.Float16).Select(t => t with { DType = "F32" }));

    static bool IsFloat(CaseTensor tensor) => tensor.DType is "F64" or "F32" or "F16" or "BF16";

    static bool IsClaim(string name) => name.StartsWith("claim.", StringComparison.Ordinal);
}
