using System.Numerics;

namespace SparseExperts.Scalar;

/// <summary>
/// A double together with a bound on the error that any right float32 computation of it may have. A number is a sum of terms until something
/// other than addition uses it, however many operations add them: in whatever order and tree n terms are added, with or without fused
/// multiply-adds, the sum departs by at most γ_n·Σ|terms| (γ_n = nu/(1 − nu), u = 2⁻²⁴; n counts the additions, and the rounding of products
/// where terms are products) besides what the terms carry themselves (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), and
/// not at all where terms are multiples of a unit so large that float32 holds every partial sum. Zeros are no terms. Other operations carry the
/// errors of their arguments through their derivative and round once, elementary functions to <see cref="FunctionUlps"/>. The bound is infinite
/// where Σ|terms| leaves float32's range. Tolerances come from here, so that they are derived and not tuned.
/// </summary>
public readonly record struct Tracked : IReal<Tracked>
{
    internal const double U = 1.0 / 16777216, Tiny = Normal * U;

    const double Normal = 1.1754943508222875e-38;

    /// <summary>From here on float32 rounds to infinity.</summary>
    const double Overflow = 3.4028235677973366e38;

    /// <summary>The exponent of float32's smallest number.</summary>
    const short Least = -149;

    /// <summary>Below, eˣ is less than a thousandth of float32's smallest number, and float32 has 0.</summary>
    const double ExpVanishes = -111;

    /// <summary>The unit of a number that is not known exactly, and of 0.</summary>
    const short NoUnit = short.MinValue, AnyUnit = short.MaxValue;

    // What the terms carry, Σ(|term| + its error), how many they are, whether products among them are yet to be rounded, and the exponent of a
    // power of two that all are multiples of.
    readonly double _inherited, _mass;
    readonly float _terms;
    readonly bool _rounds;
    readonly short _unit;

    Tracked(double value, double inherited, double mass, float terms, bool rounds, short unit)
    {
        Value = value;
        _inherited = double.IsNaN(inherited) ? double.PositiveInfinity : inherited;
        (_mass, _terms, _rounds, _unit) = (mass, terms, rounds, unit);
    }

    /// <summary>A number that is known to within an error.</summary>
    public Tracked(double value, double error)
        : this(value, error, double.IsFinite(value) ? Math.Abs(value) + error : 0, value == 0 && error == 0 ? 0 : 1, false, UnitOf(value, error)) { }

    public static string Name => "float64 with a float32 error bound";

    /// <summary>A constant, with what float32 loses of it.</summary>
    public static Tracked Of(double value) => new(value, double.IsFinite(value) ? Math.Abs((float)value - value) : 0);

    public static Tracked Within(double value, double error) => new(value, error);

    /// <summary>The sum of n products in any order; <paramref name="mass"/> counts what they carry as well.</summary>
    internal static Tracked Products(double value, double inherited, double mass, int n, short unit)
    {
        var underflow = unit < Least ? n * Tiny : 0;
        return new(value, inherited + underflow, mass + underflow, n, n > 0, unit);
    }

    /// <summary>What a factor of products has: its error and its unit. A single exact number, as most are, knows them at once.</summary>
    internal (double Error, short Unit) AsFactor()
    {
        if (_inherited == 0 && _terms <= 1 && !_rounds && _mass < Overflow) return (0, _unit);
        var error = Error;
        return (error, UnitOf(Value, error));
    }

    /// <summary>The same of a factor that is rounded by up to a share of itself first: by its size, near 0 by that of the smallest normal number.</summary>
    internal (double Error, short Unit) AsFactor(double rounded)
    {
        var (error, unit) = AsFactor();
        if (rounded == 0 || (Value == 0 && error == 0) || !double.IsFinite(Value)) return (error, unit);
        error += rounded * Math.Max(Math.Abs(Value) + error, Normal);
        return (Math.Abs(Value) + error < Overflow ? error : double.PositiveInfinity, NoUnit);
    }

    /// <summary>The exponent of the largest power of two that a number is a multiple of.</summary>
    internal static short UnitOf(double value, double error)
    {
        if (error != 0 || !double.IsFinite(value)) return NoUnit;
        if (value == 0) return AnyUnit;
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)(bits >> 52) & 0x7FF;
        return exponent == 0 ? NoUnit : (short)(exponent - 1075 + BitOperations.TrailingZeroCount(bits | 1L << 52));
    }

    /// <summary>The unit of a product.</summary>
    internal static short UnitOfProduct(short a, short b) => a == NoUnit || b == NoUnit ? NoUnit : a == AnyUnit || b == AnyUnit ? AnyUnit : (short)(a + b);

    public double Value { get; }

    /// <summary>Never NaN.</summary>
    public double Error
    {
        get
        {
            var roundings = Roundings;
            var gamma = Gamma(roundings);
            return Leaves(roundings, gamma) ? double.PositiveInfinity : Spread(roundings, gamma);
        }
    }

    float Roundings => IsHeld ? 0 : _terms - (_rounds ? 0 : 1);

    /// <summary>Whether float32 holds every partial sum.</summary>
    bool IsHeld => _inherited == 0 && _unit >= Least && _mass <= PowerOfTwo(Math.Min(_unit + 24, 128));

    /// <summary>What rounding explains as long as nothing overflows. One rounding knows the size of its result, more know that of the terms alone.</summary>
    double Spread(float roundings, double gamma)
    {
        if (!double.IsFinite(Value)) return double.IsFinite(_inherited) ? 0 : _inherited;
        if (roundings <= 0) return _inherited;
        return _inherited + (roundings == 1 ? U * (Math.Abs(Value) + _inherited) : gamma * _mass);
    }

    /// <summary>Whether float32 may overflow on the way. What is ∞ or NaN by itself has no size, but the terms beside it do.</summary>
    bool Leaves(float roundings, double gamma) =>
        roundings <= 1 && double.IsFinite(Value) ? Math.Abs(Value) + _inherited >= Overflow : !(_mass * (1 + gamma) < Overflow);

    bool IsExact => _inherited == 0 && Roundings <= 0 && !Leaves(0, 0);
    bool IsZero => Value == 0 && Error == 0;

    /// <summary>Whether it is known to be below, at or above 0.</summary>
    bool HasSign => Error == 0 || Math.Abs(Value) > Error;

    /// <summary>± a power of two, which multiplies without rounding.</summary>
    internal bool IsPower => (BitConverter.DoubleToInt64Bits(Value) & 0xFFFFFFFFFFFFF) == 0 && Value != 0 && double.IsFinite(Value) && IsExact;

    internal bool IsZeroOrPower => IsZero || IsPower;

    static double PowerOfTwo(int n) => BitConverter.Int64BitsToDouble((n + 1023L) << 52);

    /// <summary>γ_n; no sum needs it that rounds once or never.</summary>
    static double Gamma(double n) => n <= 1 ? 0 : n * U < 1 ? n * U / (1 - n * U) : double.PositiveInfinity;

    public static Tracked operator +(Tracked a, Tracked b) => Joined(a.Value + b.Value, a, b);
    public static Tracked operator -(Tracked a, Tracked b) => Joined(a.Value - b.Value, a, b);
    public static Tracked operator -(Tracked a) => new(-a.Value, a._inherited, a._mass, a._terms, a._rounds, a._unit);
    public static Tracked Fma(Tracked a, Tracked b, Tracked c) => Joined(Math.FusedMultiplyAdd(a.Value, b.Value, c.Value), a * b, c);

    /// <summary>This sum and a further one, whose value is the whole's already.</summary>
    internal Tracked Joined(Tracked more) => Joined(more.Value, this, more);

    static Tracked Joined(double value, Tracked a, Tracked b) =>
        new(value, a._inherited + b._inherited, a._mass + b._mass, a._terms + b._terms, a._rounds || b._rounds, Math.Min(a._unit, b._unit));

    public static Tracked operator *(Tracked a, Tracked b)
    {
        if (b.IsPower) return a.Times(b.Value);
        if (a.IsPower) return b.Times(a.Value);
        var product = a.Value * b.Value;
        var ((errorA, unitA), (errorB, unitB)) = (a.AsFactor(), b.AsFactor());
        if (!double.IsFinite(product)) return Special(product, a.HasSign && b.HasSign);
        if (a.Value == 0 && errorA == 0 && double.IsFinite(errorB) || b.Value == 0 && errorB == 0 && double.IsFinite(errorA)) return new(product, 0);
        var inherited = Math.Abs(a.Value) * errorB + Math.Abs(b.Value) * errorA + errorA * errorB;
        return Products(product, inherited, Math.Abs(product) + inherited, 1, UnitOfProduct(unitA, unitB));
    }

    /// <summary>The same sum, every term times a power of two.</summary>
    Tracked Times(double power)
    {
        double size = Math.Abs(power), scaled = Value * power;
        var underflow = size < 1 && Value != 0 && (_terms > 1 || Math.Abs(scaled) - size * _inherited < Normal) ? _terms * Tiny : 0;
        var inherited = double.IsInfinity(Error) ? double.PositiveInfinity : size * _inherited + underflow;
        return new(scaled, inherited, size * _mass + underflow, _terms, _rounds, UnitOfProduct(_unit, UnitOf(power, 0)));
    }

    public static Tracked operator /(Tracked a, Tracked b)
    {
        if (b.IsPower) return a.Times(1 / b.Value);
        var quotient = a.Value / b.Value;
        double errorA = a.Error, errorB = b.Error, room = Math.Abs(b.Value) - errorB;
        if (!double.IsFinite(quotient)) return Special(quotient, a.HasSign && b.HasSign);
        if (a.IsZero && room > 0 || double.IsInfinity(b.Value) && errorB == 0 && double.IsFinite(errorA)) return new(quotient, 0);
        return Once(quotient, room > 0 ? (errorA + Math.Abs(quotient) * errorB) / room : double.PositiveInfinity);
    }

    /// <summary>A result that is rounded once.</summary>
    static Tracked Once(double value, double inherited) => new(value, inherited + Tiny, Math.Abs(value) + inherited + Tiny, 1, true, NoUnit);

    /// <summary>±∞ or NaN: exactly that where the arguments leave no other outcome.</summary>
    static Tracked Special(double value, bool isSure) => new(value, isSure ? 0 : double.PositiveInfinity);

    public static Tracked Sqrt(Tracked a)
    {
        var root = Math.Sqrt(a.Value);
        var error = a.Error;
        if (!double.IsFinite(root)) return Special(root, double.IsFinite(error));
        return a.IsZero ? a : Once(root, error == 0 ? 0 : Math.Min(Math.Sqrt(error), error / root));
    }

    public static Tracked Exp(Tracked a)
    {
        if (a.IsZero) return new(1, 0);
        // A difference that overflows to −∞ vanishes like one that nearly does.
        var roundings = a.Roundings;
        var spread = roundings <= 1 && a.Value < 0 ? a.Spread(roundings, Gamma(roundings)) : a.Error;
        var value = Math.Exp(a.Value);
        if (a.Value + spread < ExpVanishes) return new(value, Math.Exp(a.Value + spread), 0, 0, false, NoUnit);
        if (!double.IsFinite(value)) return Special(value, double.IsFinite(spread));
        return Function(value, spread < 1e-5 ? value * spread * (1 + spread) : Math.Exp(a.Value + spread) - value, FunctionUlps.Exp);
    }

    public static Tracked Log(Tracked a)
    {
        double value = Math.Log(a.Value), error = a.Error;
        if (!double.IsFinite(value)) return Special(value, error == 0);
        return Function(value, error == 0 ? 0 : a.Value > error ? error / (a.Value - error) : double.PositiveInfinity, FunctionUlps.Log);
    }

    public static Tracked Log1p(Tracked a) => a.IsZero ? a
        : Function(Float64.DoubleLog1p(a.Value), a.Error / Math.Max(1 + a.Value - a.Error, 0), FunctionUlps.Log1p);

    /// <summary>The slope 1 − tanh² falls away from 0, and so it is largest at the near end of what x may be.</summary>
    public static Tracked Tanh(Tracked a)
    {
        var slope = 1 - Math.Pow(Math.Tanh(a.Near), 2);
        return a.IsZero ? a : Function(Math.Tanh(a.Value), Math.Min(slope * a.Error, 2), FunctionUlps.Tanh);
    }

    /// <summary>As <see cref="Tanh"/>, with the slope 2/√π·e^{−x²}.</summary>
    public static Tracked Erf(Tracked a)
    {
        var slope = 2 / Math.Sqrt(Math.PI) * Math.Exp(-a.Near * a.Near);
        return a.IsZero ? a : Function(Float64.DoubleErf(a.Value), Math.Min(slope * a.Error, 2), FunctionUlps.Erf);
    }

    double Near => Math.Max(Math.Abs(Value) - Error, 0);

    static Tracked Function(double value, double inherited, double ulps)
    {
        if (double.IsNaN(value)) return Special(value, true);
        var error = inherited + 2 * ulps * (U * (Math.Abs(value) + inherited) + Tiny);
        return new(value, value == 0 && inherited == 0 ? 0 : error);
    }

    /// <summary>
    /// The value stays as it is and the bound grows to where rounding can lead: an implementation that rounds lies within it, on whichever side of a
    /// boundary its own value falls, and so does one that does not.
    /// </summary>
    public static Tracked Round(NumberFormat format, Tracked a)
    {
        if (!double.IsFinite(a.Value)) return a;
        double error = a.Error, low = Rounding.To(format, a.Value - error), high = Rounding.To(format, a.Value + error);
        if (!double.IsFinite(low) || !double.IsFinite(high)) return new(a.Value, double.PositiveInfinity);
        return new(a.Value, Math.Max(error, Math.Max(high - a.Value, a.Value - low)));
    }

    public static Tracked Chosen(Tracked chosen, Tracked other, Tracked x, double distance)
    {
        var error = x.Error;
        return error == 0 || distance > error ? chosen : new(chosen.Value, Math.Max(chosen.Error, Math.Abs(chosen.Value - other.Value) + other.Error));
    }
}
