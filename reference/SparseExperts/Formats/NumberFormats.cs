namespace SparseExperts.Formats;

/// <summary>
/// The names of number formats: in safetensors (<c>BF16</c>), in dialects and parameters (<c>bf16</c>), in PyTorch and in sentences (<c>bfloat16</c>).
/// </summary>
public static class NumberFormats
{
    static readonly (NumberFormat Format, string DType, string Word)[] All =
    [
        (NumberFormat.Float64, "F64", "float64"),
        (NumberFormat.Float32, "F32", "float32"),
        (NumberFormat.Float16, "F16", "float16"),
        (NumberFormat.BFloat16, "BF16", "bfloat16"),
    ];

    /// <summary>The names in dialects and parameters, the widest format first.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(f => f.Format.Name())];

    public static string DType(this NumberFormat format) => All.First(f => f.Format == format).DType;
    public static string Name(this NumberFormat format) => format.DType().ToLowerInvariant();
    public static string Word(this NumberFormat format) => All.First(f => f.Format == format).Word;

    /// <summary>The format of a dtype, or null where it is no float of these.</summary>
    public static NumberFormat? OfDType(string dtype)
    {
        foreach (var known in All)
            if (known.DType == dtype) return known.Format;
        return null;
    }

    /// <summary>The format that dialects call so, or null.</summary>
    public static NumberFormat? OfName(string name)
    {
        foreach (var known in All)
            if (known.Format.Name() == name) return known.Format;
        return null;
    }
}
