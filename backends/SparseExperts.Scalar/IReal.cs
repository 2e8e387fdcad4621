namespace SparseExperts.Scalar;

/// <summary>The arithmetic that the definitions are written in: IEEE operations, fma, and four elementary functions.</summary>
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
    static abstract T Tanh(T a);
    static abstract T Erf(T a);

    /// <summary>To nearest even in a format.</summary>
    static abstract T Round(NumberFormat format, T a);
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
    public static Float64 Tanh(Float64 a) => new(Math.Tanh(a.Bits));
    public static Float64 Erf(Float64 a) => new(DoubleErf(a.Bits));
    public static Float64 Round(NumberFormat format, Float64 a) => new(Rounding.To(format, a.Bits));

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

/// <summary>
/// A double together with a bound on the error that the same computation would have in float32: running error analysis
/// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.3). Each operation carries the errors of its arguments
/// through its derivative and adds u·|result| (u = 2⁻²⁴, half an ulp or more) for its own rounding, twice the stated ulps for elementary
/// functions. Past float32's range the bound is infinite. Tolerances of the tests come from here, so that they are derived and not tuned.
/// </summary>
public readonly record struct Tracked(double Value, double Error) : IReal<Tracked>
{
    internal const double U = 1.0 / 16777216, Tiny = 1.1754943508222875e-38 * U;

    public static string Name => "float64 with a float32 error bound";
    /// <summary>A constant, with what float32 loses of it.</summary>
    public static Tracked Of(double value) => new(value, double.IsFinite(value) ? Math.Abs((float)value - value) : 0);

    public static Tracked Within(double value, double error) => new(value, error);

    static Tracked Rounded(double value, double inherited, double halfUlps = 1)
    {
        var error = inherited + halfUlps * (U * (Math.Abs(value) + inherited) + Tiny);
        return new(value, Math.Abs(value) + error > float.MaxValue ? double.PositiveInfinity : error);
    }

    public static Tracked operator +(Tracked a, Tracked b) => Rounded(a.Value + b.Value, a.Error + b.Error);
    public static Tracked operator -(Tracked a, Tracked b) => Rounded(a.Value - b.Value, a.Error + b.Error);
    public static Tracked operator *(Tracked a, Tracked b) => Rounded(a.Value * b.Value, Product(a, b));
    public static Tracked operator -(Tracked a) => new(-a.Value, a.Error);
    public static Tracked Fma(Tracked a, Tracked b, Tracked c) => Rounded(Math.FusedMultiplyAdd(a.Value, b.Value, c.Value), Product(a, b) + c.Error);

    public static Tracked operator /(Tracked a, Tracked b)
    {
        var room = Math.Abs(b.Value) - b.Error;
        var quotient = a.Value / b.Value;
        return Rounded(quotient, room > 0 ? (a.Error + Math.Abs(quotient) * b.Error) / room : double.PositiveInfinity);
    }

    public static Tracked Sqrt(Tracked a)
    {
        var root = Math.Sqrt(a.Value);
        return Rounded(root, a.Error == 0 ? 0 : Math.Min(Math.Sqrt(a.Error), a.Error / Math.Max(root, double.Epsilon)));
    }

    public static Tracked Exp(Tracked a) => Rounded(Math.Exp(a.Value), ExpError(a), 2 * CanonicalMath.ExpUlps);
    public static Tracked Log(Tracked a) =>
        Rounded(Math.Log(a.Value), a.Error == 0 ? 0 : a.Error / Math.Max(a.Value - a.Error, double.Epsilon), 2 * CanonicalMath.LogUlps);
    public static Tracked Tanh(Tracked a) => Rounded(Math.Tanh(a.Value), a.Error, 2 * CanonicalMath.TanhUlps);
    public static Tracked Erf(Tracked a) => Rounded(Float64.DoubleErf(a.Value), 1.13 * a.Error, 2 * CanonicalMath.ErfUlps);

    /// <summary>
    /// The value stays as it is and the bound grows to where rounding can lead: an implementation that rounds lies within it, on whichever side of a
    /// boundary its own value falls, and so does one that does not.
    /// </summary>
    public static Tracked Round(NumberFormat format, Tracked a)
    {
        double low = Rounding.To(format, a.Value - a.Error), high = Rounding.To(format, a.Value + a.Error);
        if (!double.IsFinite(low) || !double.IsFinite(high)) return new(a.Value, double.PositiveInfinity);
        return new(a.Value, Math.Max(a.Error, Math.Max(high - a.Value, a.Value - low)));
    }

    /// <summary>e^{x + δ} − eˣ, without cancellation where δ is small.</summary>
    static double ExpError(Tracked a) =>
        a.Error < 1e-5 ? Math.Exp(a.Value) * a.Error * (1 + a.Error) : Math.Exp(a.Value + a.Error) - Math.Exp(a.Value);

    static double Product(Tracked a, Tracked b) => Math.Abs(a.Value) * b.Error + Math.Abs(b.Value) * a.Error + a.Error * b.Error;
}
