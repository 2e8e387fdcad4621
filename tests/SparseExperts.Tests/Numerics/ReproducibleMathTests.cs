using Xunit;

namespace SparseExperts.Tests.Numerics;

/// <summary>The host's own elementary functions keep the bound that they state.</summary>
public sealed class ReproducibleMathTests
{
    const int Count = 4000;

    static double Uniform(int stream, int i) => Philox.UniformDouble(new(21, (ulong)stream), (ulong)i);

    static void Demand(string name, double argument, double value, Exactly.Value exact)
    {
        var ulps = exact.UlpsFrom(value);
        Assert.True(ulps < ReproducibleMath.Ulps, $"{name} of {argument:R} is {value:R}, off by {ulps:0.000} ulps");
    }

    [Fact]
    public void Exponentials()
    {
        for (var i = 0; i < Count; i++)
        {
            var x = i % 2 == 0 ? -708 + 1417 * Uniform(1, i) : (Uniform(1, i) - 0.5) * Math.ScaleB(1, i % 60 - 55);
            Demand("exp", x, ReproducibleMath.Exp(x), Exactly.Exp(x));
        }
    }

    [Fact]
    public void Logarithms()
    {
        for (var i = 0; i < Count; i++)
        {
            var u = Uniform(2, i);
            var x = (i % 3) switch { 0 => Math.ScaleB(1 + u, i % 2098 - 1074), 1 => 1 + (u - 0.5) * Math.ScaleB(1, -i % 50), _ => u };
            if (x is > 0 and not 1) Demand("log", x, ReproducibleMath.Log(x), Exactly.Log(x));
        }
    }

    [Fact]
    public void Powers()
    {
        for (var i = 0; i < Count; i++)
        {
            var (u, v) = (Uniform(3, i), Uniform(4, i));
            var (x, y) = i % 2 == 0 ? (20000 * u, 60 * (v - 0.5)) : (1 - u * Math.ScaleB(1, -i % 20), Math.Floor(1e5 * v));
            var value = ReproducibleMath.Pow(x, y);
            if (value is > 1e-300 and < 1e300) Demand($"{x:R} to the power", y, value, Exactly.Pow(x, y));
        }
    }

    [Fact]
    public void Sines_and_cosines()
    {
        for (var i = 0; i < Count; i++)
        {
            // Angles of all sizes, and those that lie next to a multiple of π/2.
            var x = i % 2 == 0 ? (Uniform(5, i) - 0.5) * Math.ScaleB(1, i % 60 - 29) : Math.Round(1e9 * Uniform(5, i) / (1 + i % 1000 * i)) * (Math.PI / 2);
            if (Math.Abs(x) > 1 << 30) continue;
            var (sin, cos) = ReproducibleMath.SinCos(x);
            Demand("sin", x, sin, Exactly.Sin(x));
            Demand("cos", x, cos, Exactly.Cos(x));
        }
    }

    [Fact]
    public void Cosines_of_turns()
    {
        for (var i = 0; i < Count; i++)
        {
            var turns = i < 256 ? i / 256.0 + Math.ScaleB(1, -40) : Uniform(6, i);
            Demand("cos 2π", turns, ReproducibleMath.CosOfTurns(turns), Exactly.CosOfTurns(turns));
        }
        Assert.Equal([1, 0, -1, 0, 1], ((double[])[0, 0.25, 0.5, 0.75, 1]).Select(ReproducibleMath.CosOfTurns));
    }

    [Fact]
    public void Edges()
    {
        double inf = double.PositiveInfinity, nan = double.NaN;
        Assert.Equal([0, inf, nan, 1, inf, 0, double.Epsilon], ((double[])[-inf, inf, nan, 0, 710, -746, -744.5]).Select(ReproducibleMath.Exp));
        Assert.Equal([-inf, inf, nan, nan, 0], ((double[])[0, inf, nan, -1, 1]).Select(ReproducibleMath.Log));
        (double X, double Y)[] pairs = [(0, 0), (1, nan), (0, 2), (0, -2), (inf, -1), (inf, 1), (-2, 2), (2, 3), (10, 400), (10, -400)];
        Assert.Equal([1, 1, 0, inf, 0, inf, nan, 8, inf, 0], pairs.Select(p => ReproducibleMath.Pow(p.X, p.Y)));
        Assert.Throws<ArgumentOutOfRangeException>(() => ReproducibleMath.SinCos(1e10));
    }
}
