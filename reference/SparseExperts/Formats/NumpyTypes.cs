namespace SparseExperts.Formats;

/// <summary>numpy's names of types (<c>descr</c>) and those of safetensors. numpy has no bfloat16.</summary>
static class NumpyTypes
{
    static readonly (string Descr, string DType)[] All =
    [
        ("<f8", "F64"), ("<f4", "F32"), ("<f2", "F16"),
        ("<i8", "I64"), ("<i4", "I32"), ("<i2", "I16"), ("|i1", "I8"),
        ("<u8", "U64"), ("<u4", "U32"), ("<u2", "U16"), ("|u1", "U8"), ("|b1", "BOOL"),
    ];

    /// <summary>The dtype of safetensors, or null where it has none.</summary>
    public static string? DType(string descr) => All.FirstOrDefault(t => t.Descr == descr).DType;

    public static string Descr(string dtype) => All.FirstOrDefault(t => t.DType == dtype).Descr
        ?? throw new ArgumentException($"dtype {dtype} is not written to .npz; choose F64, F32, F16, BOOL or an integer of 8 to 64 bits", nameof(dtype));
}
