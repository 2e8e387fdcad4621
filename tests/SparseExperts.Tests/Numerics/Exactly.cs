using System.Numerics;

namespace SparseExperts.Tests.Numerics;

/// <summary>Elementary functions of doubles to some 290 bits, by series over integers that stand for multiples of 2⁻³⁰⁰.</summary>
static class Exactly
{
    const int Bits = 300;
    static readonly BigInteger One = BigInteger.One << Bits;

    /// <summary>A number as Mantissa·2^{Exponent − 300}.</summary>
    public readonly record struct Value(BigInteger Mantissa, int Exponent)
    {
        /// <summary>How far a double is from it, in units of the double's last place.</summary>
        public double UlpsFrom(double y)
        {
            var (mantissa, exponent) = Parts(y);
            var shift = Exponent - exponent;
            var difference = (mantissa << Bits) - (shift >= 0 ? Mantissa << shift : Mantissa >> -shift);
            return Math.Abs((double)(difference >> (Bits - 60)) / Math.ScaleB(1, 60));
        }
    }

    public static Value Exp(double x) => ExpOf(Fixed(x));
    public static Value Pow(double x, double y) => ExpOf(LogOf(x) * Mantissa(y) >> -Math.Min(0, Parts(y).Exponent) << Math.Max(0, Parts(y).Exponent));
    public static Value Log(double x) => new(LogOf(x), 0);
    public static Value Sin(double x) => Circle(Fixed(x), 0);
    public static Value Cos(double x) => Circle(Fixed(x), 1);
    public static Value CosOfTurns(double turns) => Circle(Fixed(turns) * 2 * Pi >> Bits, 1);

    static readonly BigInteger Ln2 = 2 * Artanh(One / 3);
    static readonly BigInteger Pi = 4 * (4 * Arctan(5) - Arctan(239));

    /// <summary>x = Mantissa·2^Exponent, the mantissa of 53 bits where x is normal.</summary>
    static (BigInteger Mantissa, int Exponent) Parts(double x)
    {
        var bits = BitConverter.DoubleToInt64Bits(x);
        int raw = (int)(bits >> 52 & 0x7ff), exponent = Math.Max(1, raw) - 1075;
        BigInteger mantissa = (bits & (1L << 52) - 1) | (raw > 0 ? 1L << 52 : 0);
        return (bits < 0 ? -mantissa : mantissa, exponent);
    }

    static BigInteger Mantissa(double x) => Parts(x).Mantissa;
    static BigInteger Fixed(double x) => Parts(x) is var (m, e) && e + Bits >= 0 ? m << e + Bits : m >> -(e + Bits);

    static Value ExpOf(BigInteger x)
    {
        var n = (int)BigInteger.Divide(x, Ln2);
        BigInteger r = x - n * Ln2, sum = One, term = One;
        for (var i = 1; !term.IsZero; i++) sum += term = (term * r >> Bits) / i;
        return new(sum, n);
    }

    static BigInteger LogOf(double x)
    {
        var (m, e) = Parts(x);
        var length = (int)m.GetBitLength();
        var scaled = m << Bits - length;                      // in [½, 1)
        return (e + length) * Ln2 + 2 * Artanh((scaled - One << Bits) / (scaled + One));
    }

    static BigInteger Artanh(BigInteger s)
    {
        BigInteger square = s * s >> Bits, power = s, sum = s;
        for (var i = 3; !power.IsZero && power != -1; i += 2) sum += (power = power * square >> Bits) / i;
        return sum;
    }

    static BigInteger Arctan(int inverse)
    {
        BigInteger power = One / inverse, sum = power;
        for (var i = 3; !power.IsZero && power != -1; i += 2) sum += (power = -power / (inverse * inverse)) / i;
        return sum;
    }

    /// <summary>sin(x + quarter·π/2).</summary>
    static Value Circle(BigInteger x, int quarter)
    {
        var half = Pi / 2;
        var n = BigInteger.Divide(x, half);
        BigInteger r = x - n * half, sum = 0, term = One;
        var place = (int)(((n + quarter) % 4 + 4) % 4);
        // Σ r^i/i! over even or odd i, signs alternating.
        for (var i = 0; !term.IsZero && term != -1; i++)
        {
            if (i % 2 != place % 2) sum += i / 2 % 2 == 0 ? term : -term;
            term = (term * r >> Bits) / (i + 1);
        }
        return new(place >= 2 ? -sum : sum, 0);
    }
}
