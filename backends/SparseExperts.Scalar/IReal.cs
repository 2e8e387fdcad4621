namespace SparseExperts.Scalar;

/// <summary>The arithmetic that the definitions are written in: IEEE operations, fma, and five elementary functions.</summary>
public interface IReal<T> where T : struct, IReal<T>
{
    static abstract string Name { get; }
    static abstract T Of(double value);

    /// <summary>A number that is known to within an error.</summary>
    static virtual T Within(double value, double error) => T.Of(value);
    double Value { get; }

    /// <summary>A bound on what float32 would have lost; 0 where none is carried.</summary>
    double Error { get; }
    static abstract T operator +(T a, T b);
    static abstract T operator -(T a, T b);
    static abstract T operator *(T a, T b);
    static abstract T operator /(T a, T b);
    static abstract T operator -(T a);
    static abstract T Fma(T a, T b, T c);
    static abstract T Sqrt(T a);
    static abstract T Exp(T a);
    static abstract T Log(T a);

    /// <summary>ln(1 + a) for a in [0, 1].</summary>
    static abstract T Log1p(T a);
    static abstract T Tanh(T a);
    static abstract T Erf(T a);

    /// <summary>To nearest even in a format.</summary>
    static abstract T Round(NumberFormat format, T a);

    /// <summary>
    /// What a comparison of <paramref name="x"/> chose; the other number may be right too where x lies no further than its error from the place
    /// where the choice turns.
    /// </summary>
    static virtual T Chosen(T chosen, T other, T x, double distance) => chosen;
}

/// <summary>IEEE binary32: the canonical bits.</summary>
public readonly record struct Float32(float Bits) : IReal<Float32>
{
    public static string Name => "float32";
    public static Float32 Of(double value) => new((float)value);
    public double Value => Bits;
    public double Error => 0;
    public static Float32 operator +(Float32 a, Float32 b) => new(a.Bits + b.Bits);
    public static Float32 operator -(Float32 a, Float32 b) => new(a.Bits - b.Bits);
    public static Float32 operator *(Float32 a, Float32 b) => new(a.Bits * b.Bits);
    public static Float32 operator /(Float32 a, Float32 b) => new(a.Bits / b.Bits);
    public static Float32 operator -(Float32 a) => new(-a.Bits);
    public static Float32 Fma(Float32 a, Float32 b, Float32 c) => new(MathF.FusedMultiplyAdd(a.Bits, b.Bits, c.Bits));
    public static Float32 Sqrt(Float32 a) => new(MathF.Sqrt(a.Bits));
    public static Float32 Exp(Float32 a) => new(CanonicalMath.Exp(a.Bits));
    public static Float32 Log(Float32 a) => new(CanonicalMath.Log(a.Bits));
    public static Float32 Log1p(Float32 a) => new(CanonicalMath.Log1p(a.Bits));
    public static Float32 Tanh(Float32 a) => new(CanonicalMath.Tanh(a.Bits));
    public static Float32 Erf(Float32 a) => new(CanonicalMath.Erf(a.Bits));
    public static Float32 Round(NumberFormat format, Float32 a) => new((float)Rounding.To(format, a.Bits));
}

/// <summary>IEEE binary64: the arbiter.</summary>
public readonly record struct Float64(double Bits) : IReal<Float64>
{
    public static string Name => "float64";
    public static Float64 Of(double value) => new(value);
    public double Value => Bits;
    public double Error => 0;
    public static Float64 operator +(Float64 a, Float64 b) => new(a.Bits + b.Bits);
    public static Float64 operator -(Float64 a, Float64 b) => new(a.Bits - b.Bits);
    public static Float64 operator *(Float64 a, Float64 b) => new(a.Bits * b.Bits);
    public static Float64 operator /(Float64 a, Float64 b) => new(a.Bits / b.Bits);
    public static Float64 operator -(Float64 a) => new(-a.Bits);
    public static Float64 Fma(Float64 a, Float64 b, Float64 c) => new(Math.FusedMultiplyAdd(a.Bits, b.Bits, c.Bits));
    public static Float64 Sqrt(Float64 a) => new(Math.Sqrt(a.Bits));
    public static Float64 Exp(Float64 a) => new(Math.Exp(a.Bits));
    public static Float64 Log(Float64 a) => new(Math.Log(a.Bits));
    public static Float64 Log1p(Float64 a) => new(DoubleLog1p(a.Bits));
    public static Float64 Tanh(Float64 a) => new(Math.Tanh(a.Bits));
    public static Float64 Erf(Float64 a) => new(DoubleErf(a.Bits));
    public static Float64 Round(NumberFormat format, Float64 a) => new(Rounding.To(format, a.Bits));

    /// <summary>As <see cref="CanonicalMath.Log1p"/>.</summary>
    internal static double DoubleLog1p(double x)
    {
        var w = 1 + x;
        return Math.Log(w) + (x - (w - 1)) / w;
    }

    /// <summary>erf x = (2/√π) e^{−x²} Σ 2ⁿ x^{2n+1} / (2n+1)!!, all terms positive, so nothing cancels (Abramowitz &amp; Stegun 7.1.6).</summary>
    internal static double DoubleErf(double x)
    {
        if (double.IsNaN(x)) return x;
        if (Math.Abs(x) > 6) return Math.Sign(x);
        double term = x, sum = x;
        for (var n = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum); n++) sum += term *= 2 * x * x / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }
}
