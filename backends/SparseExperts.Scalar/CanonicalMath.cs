namespace SparseExperts.Scalar;

/// <summary>
/// The elementary functions in float32, built from IEEE operations and fma only, so that every machine computes the same bits.
/// These lines define them; SIMD code repeats them operation by operation. Coefficients are least-maximum fits (Lawson
/// iteration in double, rounded to float). The ulp bounds are tested over all magnitudes.
/// </summary>
public static class CanonicalMath
{
    /// <summary>Stated bounds; the largest errors over all floats are 1.014, 0.861, 1.332 and 1.172 ulps, over [0, 1] for ln(1 + x).</summary>
    public const double ExpUlps = 1.02, LogUlps = 1, Log1pUlps = 2, TanhUlps = 2, ErfUlps = 2;

    const float Log2E = 1.44269504f, Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f, RoundMagic = 12582912f;

    /// <summary>eˣ = 2ⁿ·eʳ with n = round(x/ln 2), |r| ≤ ln2/2, eʳ = 1 + r + r²·p(r). Overflows to +∞, underflows through subnormals to 0.</summary>
    public static float Exp(float x)
    {
        if (float.IsNaN(x)) return x;
        x = x > 89f ? 89f : x;
        x = x < -104f ? -104f : x;
        var n = (x * Log2E + RoundMagic) - RoundMagic;
        var r = Fma(n, -Ln2High, x);
        r = Fma(n, -Ln2Low, r);
        var p = Fma(0.0013814320554956794f, r, 0.00836885068565607f);
        p = Fma(p, r, 0.041668400168418884f);
        p = Fma(p, r, 0.1666651964187622f);
        p = Fma(p, r, 0.4999999403953552f);
        p = Fma(p, r * r, r) + 1f;
        int i = (int)n, half = i >> 1;
        return p * PowerOfTwo(half) * PowerOfTwo(i - half);
    }

    /// <summary>ln x = e·ln 2 + f − f²/2 + f³·p(f), x = 2ᵉ(1+f), 1+f in [√½, √2). ln 0 = −∞, ln of a negative is NaN.</summary>
    public static float Log(float x)
    {
        if (!(x > 0f)) return x == 0f ? float.NegativeInfinity : float.NaN;
        if (float.IsPositiveInfinity(x)) return x;
        var scaled = x < 1.17549435e-38f;
        var bits = BitConverter.SingleToInt32Bits(scaled ? x * 8388608f : x);
        var e = (bits - 0x3f3504f3) >> 23;                       // so that the mantissa starts at √½
        var f = BitConverter.Int32BitsToSingle(bits - (e << 23)) - 1f;
        var exponent = (float)(e - (scaled ? 23 : 0));
        var p = Fma(-0.07634492963552475f, f, 0.12761574983596802f);
        p = Fma(p, f, -0.13160182535648346f);
        p = Fma(p, f, 0.14201758801937103f);
        p = Fma(p, f, -0.16623356938362122f);
        p = Fma(p, f, 0.20001226663589478f);
        p = Fma(p, f, -0.2500081956386566f);
        p = Fma(p, f, 0.3333333134651184f);
        var square = f * f;
        var y = Fma(p, square * f, exponent * Ln2Low);
        y = Fma(square, -0.5f, y);
        return Fma(exponent, Ln2High, f + y);
    }

    /// <summary>ln(1 + x) for x in [0, 1]: the logarithm of what 1 + x is rounded to, corrected for what that loses (Kahan).</summary>
    public static float Log1p(float x)
    {
        var w = 1f + x;
        var lost = (x - (w - 1f)) / w;
        return Log(w) + lost;
    }

    /// <summary>tanh x = x + x³·p(x²) below 0.625, else 1 − 2/(e^{2|x|} + 1) with the sign of x.</summary>
    public static float Tanh(float x)
    {
        if (float.IsNaN(x)) return x;
        var a = MathF.Abs(x);
        var z = x * x;
        var p = Fma(-0.005717044696211815f, z, 0.020650586113333702f);
        p = Fma(p, z, -0.05374349653720856f);
        p = Fma(p, z, 0.13331490755081177f);
        p = Fma(p, z, -0.3333328366279602f);
        var near = Fma(p, z * a, a);
        var far = 1f - 2f / (Exp(a + a) + 1f);
        return MathF.CopySign(a < 0.625f ? near : far, x);
    }

    /// <summary>erf x = x + x·p(x²) below 0.92, else 1 − e^{q(|x|)} with the sign of x; 1 from 4 on.</summary>
    public static float Erf(float x)
    {
        if (float.IsNaN(x)) return x;
        var a = MathF.Abs(x);
        var z = x * x;
        var p = Fma(8.345227251993492e-05f, z, -0.0008137437980622053f);
        p = Fma(p, z, 0.005200634244829416f);
        p = Fma(p, z, -0.02685927040874958f);
        p = Fma(p, z, 0.11283694207668304f);
        p = Fma(p, z, -0.37612634897232056f);
        p = Fma(p, z, 0.12837916612625122f);
        var near = Fma(p, x, x);
        var b = a < 4f ? a : 4f;
        var q = Fma(-2.0965366275049746e-05f, b, 0.00043296627700328827f);
        q = Fma(q, b, -0.004163829609751701f);
        q = Fma(q, b, 0.025100428611040115f);
        q = Fma(q, b, -0.10825079679489136f);
        q = Fma(q, b, -0.6333734393119812f);
        q = Fma(q, b, -1.1295018196105957f);
        q = Fma(q, b, 0.00017197334091179073f);
        var far = 1f - Exp(q);
        return a < 0.92f ? near : MathF.CopySign(far, x);
    }

    static float Fma(float a, float b, float c) => MathF.FusedMultiplyAdd(a, b, c);
    static float PowerOfTwo(int n) => BitConverter.Int32BitsToSingle((n + 127) << 23);
}
