using System.Globalization;

namespace SparseExperts.Cuda.Emulator.Ptx;

/// <summary>Types of PTX, as their names say.</summary>
static class PtxTypes
{
    /// <summary>Bytes of a value; a predicate has none. -1 for anything else.</summary>
    public static int Size(string type) => type switch
    {
        "pred" => 0,
        "b8" or "u8" or "s8" => 1,
        "b16" or "u16" or "s16" or "f16" => 2,
        "b32" or "u32" or "s32" or "f32" => 4,
        "b64" or "u64" or "s64" or "f64" => 8,
        _ => -1,
    };

    /// <summary>A number as PTX writes it (decimal, 0x…, 0f… or 0d…) as bits.</summary>
    public static bool TryNumber(string word, out ulong bits)
    {
        var hex = word.Length > 2 && word[0] == '0' && word[1] is 'f' or 'F' or 'd' or 'D' or 'x' or 'X';
        if (hex) return ulong.TryParse(word.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out bits);
        if (ulong.TryParse(word, CultureInfo.InvariantCulture, out bits)) return true;
        var signed = long.TryParse(word, CultureInfo.InvariantCulture, out var value);
        bits = (ulong)value;
        return signed;
    }

    public static bool IsFloat(string type) => type is "f16" or "f32" or "f64";
    public static bool IsSigned(string type) => type[0] == 's';
}
