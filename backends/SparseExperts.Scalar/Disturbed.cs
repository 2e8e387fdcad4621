namespace SparseExperts.Scalar;

/// <summary>
/// A double that loses up to half a unit of float32 at random in every operation that would round there (Parker 1997, Monte Carlo arithmetic). One run is
/// what one float32 engine may compute; several show how far rounding spreads through a long computation, where a bound of every step says nothing any more.
/// Products are rounded before they are added, elementary functions lose up to their <see cref="FunctionUlps"/>.
/// </summary>
public readonly record struct Disturbed(double Value) : IReal<Disturbed>
{
    const double U = Tracked.U;

    [ThreadStatic]
    static ulong s_state;

    public static string Name => "float64 disturbed by a unit of float32";

    /// <summary>Draws of a further run; runs of different numbers draw differently.</summary>
    public static void Begin(ulong run) => s_state = (run + 1) * 0x9E3779B97F4A7C15;

    public double Error => 0;

    public static Disturbed Of(double value) => new(value);

    /// <summary>Anywhere within the error.</summary>
    public static Disturbed Within(double value, double error) => new(error == 0 ? value : value + error * Draw());

    /// <summary>Uniform in [−1, 1): xorshift64*, which needs no addresses, for what it draws is no result.</summary>
    static double Draw()
    {
        var x = s_state == 0 ? 0x9E3779B97F4A7C15 : s_state;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        s_state = x;
        return (long)(x * 0x2545F4914F6CDD1D) * (1.0 / 9.2233720368547758e18);
    }

    static Disturbed Rounded(double exact, double units = 1) => new(double.IsFinite(exact) ? exact + exact * (units * U * Draw()) : exact);

    /// <summary>± a power of two, or 0: what multiplies without rounding.</summary>
    static bool IsPlain(double x) => (BitConverter.DoubleToInt64Bits(x) & 0xFFFFFFFFFFFFF) == 0;

    public static Disturbed operator +(Disturbed a, Disturbed b) => a.Value == 0 ? b : b.Value == 0 ? a : Rounded(a.Value + b.Value);
    public static Disturbed operator -(Disturbed a, Disturbed b) => b.Value == 0 ? a : Rounded(a.Value - b.Value);
    public static Disturbed operator -(Disturbed a) => new(-a.Value);

    public static Disturbed operator *(Disturbed a, Disturbed b) =>
        IsPlain(a.Value) || IsPlain(b.Value) ? new(a.Value * b.Value) : Rounded(a.Value * b.Value);

    public static Disturbed operator /(Disturbed a, Disturbed b) => IsPlain(b.Value) ? new(a.Value / b.Value) : Rounded(a.Value / b.Value);
    public static Disturbed Fma(Disturbed a, Disturbed b, Disturbed c) => a * b + c;
    public static Disturbed Sqrt(Disturbed a) => Rounded(Math.Sqrt(a.Value));
    public static Disturbed Exp(Disturbed a) => a.Value == 0 ? new(1) : Rounded(Math.Exp(a.Value), 2 * FunctionUlps.Exp);
    public static Disturbed Log(Disturbed a) => Rounded(Math.Log(a.Value), 2 * FunctionUlps.Log);
    public static Disturbed Log1p(Disturbed a) => Rounded(Float64.DoubleLog1p(a.Value), 2 * FunctionUlps.Log1p);
    public static Disturbed Tanh(Disturbed a) => Rounded(Math.Tanh(a.Value), 2 * FunctionUlps.Tanh);
    public static Disturbed Erf(Disturbed a) => Rounded(Float64.DoubleErf(a.Value), 2 * FunctionUlps.Erf);

    /// <summary>To one of both neighbours, the nearer one more often: what it loses is up to a unit, wherever an engine rounds.</summary>
    public static Disturbed Round(NumberFormat format, Disturbed a) =>
        double.IsFinite(a.Value) && Rounding.To(format, a.Value) != a.Value
            ? new(Rounding.To(format, a.Value + Rounding.HalfUnit(format, Math.Abs(a.Value)) * Draw()))
            : a;
}
