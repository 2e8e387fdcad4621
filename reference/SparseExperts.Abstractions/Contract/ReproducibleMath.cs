namespace SparseExperts;

/// <summary>
/// Elementary functions in double from IEEE operations and fma only, for what the host computes of a model: schedules, corrections, tables,
/// noise, gates. The runtime's own come from the C library and differ between machines. Each error is below <see cref="Ulps"/> units in the
/// last place, tested against integers of 300 bits. Coefficients and orders of operations after fdlibm (Sun Microsystems 1993, e_exp.c,
/// e_log.c, k_sin.c, k_cos.c).
/// </summary>
public static class ReproducibleMath
{
    /// <summary>The stated bound.</summary>
    public const double Ulps = 1;

    /// <summary>ln 2, rounded.</summary>
    public const double Ln2 = 0.693147180559945309417;

    // ln 2 in three parts, the first of 33 bits, so that its multiples by an exponent are exact.
    const double Ln2High = 6.93147180369123816490e-01, Ln2Low = 1.90821492927058770002e-10, Ln2Lowest = 1.1612227229362532e-26;

    // π/2 in three parts.
    const double HalfPi = 1.57079632679489655800, HalfPiLow = 6.12323399573676603587e-17, HalfPiLowest = -1.4973849048591698e-33;

    /// <summary>eˣ; +∞ from 709.79 on, 0 below −745.2.</summary>
    public static double Exp(double x) => Exp(x, 0);

    /// <summary>e^{x + tail} = 2ⁿ·eʳ, |r| ≤ ln2/2, eʳ = 1 + r + r·c/(2 − c), c = r − r²·p(r²).</summary>
    static double Exp(double x, double tail)
    {
        if (double.IsNaN(x)) return x;
        if (x > 709.782712893384) return double.PositiveInfinity;
        if (x < -745.1332191019412) return 0;
        var n = Math.Round(x / Ln2);
        double high = x - n * Ln2High, low = n * Ln2Low - tail, r = high - low, z = r * r;
        var p = 1.66666666666666019037e-01 + z * (-2.77777777770155933842e-03 + z * (6.61375632143793436117e-05
            + z * (-1.65339022054652515390e-06 + z * 4.13813679705723846039e-08)));
        var c = r - z * p;
        return Math.ScaleB(1 + (r * c / (2 - c) - low + high), (int)n);
    }

    /// <summary>
    /// ln x = n·ln 2 + ln(1 + f), 1 + f in [√½, √2), s = f/(2 + f), ln(1 + f) = f − f²/2 + s·(f²/2 + p(s²)). ln 0 = −∞, ln of a negative is NaN.
    /// </summary>
    public static double Log(double x)
    {
        if (!(x > 0)) return x == 0 ? double.NegativeInfinity : double.NaN;
        if (double.IsPositiveInfinity(x)) return x;
        var n = Split(x, out var f);
        double s = f / (2 + f), z = s * s, w = z * z, half = 0.5 * f * f;
        var even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
        var odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
        return s * (half + (odd + even)) + n * Ln2Low - half + f + n * Ln2High;
    }

    /// <summary>xʸ = e^{y·ln x} for x ≥ 0, the logarithm in two doubles; NaN for a negative x.</summary>
    public static double Pow(double x, double y)
    {
        if (y == 0 || x == 1) return 1;
        if (double.IsNaN(x) || double.IsNaN(y) || x < 0) return double.NaN;
        if (x == 0 || double.IsInfinity(x)) return x == 0 == y > 0 ? 0 : double.PositiveInfinity;
        if (double.IsInfinity(y)) return x > 1 == y > 0 ? double.PositiveInfinity : 0;
        var (high, low) = LogPair(x);
        var product = y * high;
        return Exp(product, double.IsFinite(product) ? Math.FusedMultiplyAdd(y, high, -product) + y * low : 0);
    }

    /// <summary>cos 2πt: exact quarter turns, so that no angle is rounded before its function.</summary>
    public static double CosOfTurns(double turns)
    {
        if (!double.IsFinite(turns)) return double.NaN;
        turns -= Math.Floor(turns);
        var quarter = Math.Round(4 * turns);
        double rest = 4 * turns - quarter, angle = rest * HalfPi, tail = Math.FusedMultiplyAdd(rest, HalfPi, -angle) + rest * HalfPiLow;
        return Quadrant((int)quarter, angle, tail).Cos;
    }

    /// <summary>sin x and cos x of an angle in radians, |x| ≤ 2³⁰.</summary>
    public static (double Sin, double Cos) SinCos(double x)
    {
        if (!double.IsFinite(x)) return (double.NaN, double.NaN);
        if (Math.Abs(x) > 1 << 30) throw new ArgumentOutOfRangeException(nameof(x), x, "an angle beyond 2^30; take whole turns off");
        // x − n·π/2: exact for the first part, the others keep what rounding would lose.
        var n = Math.Round(x / HalfPi);
        double first = Math.FusedMultiplyAdd(-n, HalfPi, x), second = n * HalfPiLow, angle = first - second;
        var tail = first - angle - second - Math.FusedMultiplyAdd(n, HalfPiLow, -second) - n * HalfPiLowest;
        return Quadrant((int)((long)n & 3), angle, tail);
    }

    static (double Sin, double Cos) Quadrant(int quarter, double angle, double tail)
    {
        double sin = SinNear(angle, tail), cos = CosNear(angle, tail);
        return (quarter & 3) switch { 0 => (sin, cos), 1 => (cos, -sin), 2 => (-sin, -cos), _ => (-cos, sin) };
    }

    /// <summary>sin(x + tail), |x| ≤ π/4.</summary>
    static double SinNear(double x, double tail)
    {
        double z = x * x, w = z * z, cube = z * x;
        var r = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * 2.75573137070700676789e-06)
            + z * w * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10);
        return x - (z * (0.5 * tail - cube * r) - tail - cube * -1.66666666666666324348e-01);
    }

    /// <summary>cos(x + tail), |x| ≤ π/4.</summary>
    static double CosNear(double x, double tail)
    {
        double z = x * x, w = z * z;
        var r = z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * 2.48015872894767294178e-05))
            + w * w * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11));
        double half = 0.5 * z, near = 1 - half;
        return near + (1 - near - half + (z * r - x * tail));
    }

    /// <summary>x = 2ⁿ(1 + f), 1 + f in [√½, √2).</summary>
    static int Split(double x, out double f)
    {
        var scaled = x < 2.2250738585072014e-308;
        var bits = BitConverter.DoubleToInt64Bits(scaled ? x * 18014398509481984 : x);
        var n = (int)((bits - 0x3fe6a09e667f3bcd) >> 52);
        f = BitConverter.Int64BitsToDouble(bits - ((long)n << 52)) - 1;
        return scaled ? n - 54 : n;
    }

    /// <summary>ln x as the sum of two doubles, by 2·artanh s = 2·Σ s^{2i+1}/(2i+1) with s = f/(2 + f) in two doubles.</summary>
    static (double High, double Low) LogPair(double x)
    {
        const int terms = 16;               // s² ≤ 0.0295, and 0.0295¹⁶ is below 2⁻⁸¹
        var n = Split(x, out var f);
        var s = Quotient(f, Sum(2, f));
        var square = Product(s, s);
        (double High, double Low) series = Quotient(1, (2 * terms - 1, 0));
        for (var i = terms - 2; i >= 0; i--) series = Add(Product(series, square), Quotient(1, (2 * i + 1, 0)));
        var mantissa = Product(series, (2 * s.High, 2 * s.Low));
        return Add(Add((n * Ln2High, 0), Product((n, 0), (Ln2Low, Ln2Lowest))), mantissa);
    }


    static (double High, double Low) Sum(double a, double b)
    {
        double sum = a + b, part = sum - a;
        return (sum, a - (sum - part) + (b - part));
    }

    static (double High, double Low) Add((double High, double Low) a, (double High, double Low) b)
    {
        var (high, low) = Sum(a.High, b.High);
        return Sum(high, low + (a.Low + b.Low));
    }

    static (double High, double Low) Product((double High, double Low) a, (double High, double Low) b)
    {
        var high = a.High * b.High;
        return Sum(high, Math.FusedMultiplyAdd(a.High, b.High, -high) + (a.High * b.Low + a.Low * b.High));
    }

    static (double High, double Low) Quotient(double a, (double High, double Low) b)
    {
        var first = a / b.High;
        var rest = Math.FusedMultiplyAdd(-first, b.High, a) - first * b.Low;
        return Sum(first, rest / b.High);
    }
}
