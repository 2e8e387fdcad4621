using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>cvt between all types: what becomes of the bits of a source of one type as a target of another.</summary>
static class Conversions
{
    /// <summary>The function for <c>cvt.modifiers.to.from</c>, or what is wrong.</summary>
    public static Func<ulong, ulong> Of(PtxStatement s)
    {
        var (to, from) = (s.Parts[^2], s.Parts[^1]);
        var rounding = s.Parts.FirstOrDefault(p => p is "rn" or "rni" or "rzi" or "rmi" or "rpi" or "rz" or "rm" or "rp", "");
        var saturate = s.Has("sat");
        return (PtxTypes.IsFloat(to), PtxTypes.IsFloat(from)) switch
        {
            (false, false) => saturate ? Saturate(to, from) : x => Extend(x, from),
            (false, true) when rounding is "rni" or "rzi" or "rmi" or "rpi" => ToInteger(to, from, rounding),
            (true, false) when rounding == "rn" && !saturate => FromInteger(to, from),
            (true, true) => BetweenFloats(to, from, rounding, saturate),
            _ => throw new NotSupportedException("this conversion is not known here"),
        };
    }

    /// <summary>The low bits of a register as a value of a type, in 64 bits.</summary>
    public static ulong Extend(ulong x, string type) => type switch
    {
        "s8" => (ulong)(sbyte)x,
        "s16" => (ulong)(short)x,
        "s32" => (ulong)(int)x,
        "u8" or "b8" => (byte)x,
        "u16" or "b16" => (ushort)x,
        "u32" or "b32" => (uint)x,
        _ => x,
    };

    static Func<ulong, ulong> Saturate(string to, string from)
    {
        var bits = 8 * PtxTypes.Size(to);
        var (low, high) = PtxTypes.IsSigned(to) ? (-((Int128)1 << (bits - 1)), ((Int128)1 << (bits - 1)) - 1) : (0, ((Int128)1 << bits) - 1);
        var signed = PtxTypes.IsSigned(from);
        return x => (ulong)(Int128.Clamp(signed ? (long)Extend(x, from) : (Int128)Extend(x, from), low, high) & ulong.MaxValue);
    }

    static Func<ulong, ulong> ToInteger(string to, string from, string rounding)
    {
        var (bits, signed) = (8 * PtxTypes.Size(to), PtxTypes.IsSigned(to));
        return x => Floats.ToInteger(Floats.Round(Value(x, from), rounding), bits, signed);
    }

    static Func<ulong, ulong> FromInteger(string to, string from)
    {
        var signed = PtxTypes.IsSigned(from);
        return to switch
        {
            "f32" => signed ? x => Floats.Bits((float)(long)Extend(x, from)) : x => Floats.Bits(Floats.FromUnsigned(Extend(x, from))),
            "f64" => signed ? x => Floats.Bits((double)(long)Extend(x, from)) : x => Floats.Bits(Floats.DoubleFromUnsigned(Extend(x, from))),
            _ => signed ? x => Floats.Bits((Half)(double)(long)Extend(x, from)) : x => Floats.Bits((Half)(double)Extend(x, from)),
        };
    }

    static Func<ulong, ulong> BetweenFloats(string to, string from, string rounding, bool saturate)
    {
        if (rounding is "rz" or "rm" or "rp") throw new NotSupportedException("a rounding that is not known here");
        var whole = rounding is "rni" or "rzi" or "rmi" or "rpi";
        double Changed(double x)
        {
            if (whole) x = Floats.Round(x, rounding);
            return !saturate ? x : double.IsNaN(x) ? 0 : Math.Clamp(x, 0, 1);
        }
        return to switch
        {
            "f32" => x => Floats.Bits((float)Changed(Value(x, from))),
            "f64" => x => Floats.Bits(Changed(Value(x, from))),
            _ => x => Floats.Bits((Half)Changed(Value(x, from))),
        };
    }

    static double Value(ulong x, string type) => type switch { "f16" => Floats.Half(x), "f32" => Floats.Single(x), _ => Floats.Double(x) };
}
