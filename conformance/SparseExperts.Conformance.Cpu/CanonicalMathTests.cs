using SparseExperts.Cpu;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Conformance.Cpu;

/// <summary>The elementary functions over all magnitudes, against double, in units in the last place of the exact value.</summary>
public sealed class CanonicalMathTests
{
    public static TheoryData<string> Functions => ["exp", "log", "tanh", "erf"];

    [Theory, MemberData(nameof(Functions))]
    public void The_stated_ulps_hold_over_all_magnitudes(string name)
    {
        var (function, exact, stated) = Function(name);
        double worst = 0, at = 0;
        foreach (var x in Arguments())
        {
            var error = Ulps(function(x), exact(x));
            if (error > worst) (worst, at) = (error, x);
        }
        Assert.True(worst <= stated, $"{name}({at:R}) is {worst:F3} ulps away, stated {stated}");
        Assert.True(worst > stated - 1, $"{name} is never more than {worst:F3} ulps away (at {at:R}); state {Math.Ceiling(worst)} instead of {stated}");
    }

    [Theory]
    [InlineData(Activation.Tanh)]
    [InlineData(Activation.Sigmoid)]
    [InlineData(Activation.Softplus)]
    [InlineData(Activation.GeluErf)]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.Silu)]
    public void The_vector_form_gives_the_bits_of_the_scalar_form(Activation kind)
    {
        float[] x = [.. Arguments()];
        using var cpu = new CpuBackend(1);
        Assert.Equal(Bits(new ScalarBackend<Float32>(), kind, x), Bits(cpu, kind, x));
    }

    [Fact]
    public void Special_arguments_give_special_values()
    {
        Assert.Equal((1f, 0f, float.PositiveInfinity), (CanonicalMath.Exp(0), CanonicalMath.Exp(float.NegativeInfinity), CanonicalMath.Exp(float.PositiveInfinity)));
        Assert.Equal((float.NegativeInfinity, float.PositiveInfinity, 0f), (CanonicalMath.Log(0), CanonicalMath.Log(float.PositiveInfinity), CanonicalMath.Log(1)));
        Assert.Equal((1f, -1f), (CanonicalMath.Tanh(float.PositiveInfinity), CanonicalMath.Tanh(float.NegativeInfinity)));
        Assert.Equal((1f, -1f), (CanonicalMath.Erf(float.PositiveInfinity), CanonicalMath.Erf(float.NegativeInfinity)));
        Assert.All((Func<float, float>[])[CanonicalMath.Exp, CanonicalMath.Log, CanonicalMath.Tanh, CanonicalMath.Erf], f => Assert.True(float.IsNaN(f(float.NaN))));
        Assert.True(float.IsNaN(CanonicalMath.Log(-1)));
        Assert.True(float.IsNegative(CanonicalMath.Tanh(-0f)) && float.IsNegative(CanonicalMath.Erf(-0f)));
    }

    static (Func<float, float> Function, Func<double, double> Exact, double Stated) Function(string name) => name switch
    {
        "exp" => (CanonicalMath.Exp, Math.Exp, CanonicalMath.ExpUlps),
        "log" => (CanonicalMath.Log, Math.Log, CanonicalMath.LogUlps),
        "tanh" => (CanonicalMath.Tanh, Math.Tanh, CanonicalMath.TanhUlps),
        "erf" => (CanonicalMath.Erf, x => Float64.Erf(new(x)).Bits, CanonicalMath.ErfUlps),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such function"),
    };

    /// <summary>Every 2¹³-th bit pattern of both signs, a fine grid through [−110, 110], and the neighbourhoods where formulas change.</summary>
    static IEnumerable<float> Arguments()
    {
        for (long bits = 0; bits < 0x7f800000; bits += 1 << 13)
        {
            var x = BitConverter.Int32BitsToSingle((int)bits + (int)(bits >> 13) % 8191);
            yield return x;
            yield return -x;
        }
        for (var i = -220_000; i <= 220_000; i++) yield return i / 2000f;
        foreach (var centre in (float[])[0.625f, 0.92f, 4f, 0.34657359f, 0.70710678f, 1f, 1.41421356f, 2f, 88.72284f, 89f, 87.33655f, 103.97208f, 104f, 1.17549435e-38f])
            for (var step = -2000; step <= 2000; step++)
            {
                var x = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(centre) + step);
                yield return x;
                yield return -x;
            }
    }

    /// <summary>Distance in ulps of the float binade that holds the exact value; values beyond the floats' range count as its end.</summary>
    static double Ulps(float seen, double exact)
    {
        if (double.IsNaN(exact)) return float.IsNaN(seen) ? 0 : double.PositiveInfinity;
        var limit = (double)float.MaxValue + Math.ScaleB(1, 103);
        if (Math.Abs(exact) >= limit || float.IsInfinity(seen)) return (float)exact == seen ? 0 : Math.Abs(exact) >= limit || Math.Abs(exact) > float.MaxValue * (1 - 1e-6) ? 1 : double.PositiveInfinity;
        var exponent = Math.Max(-126, Math.ILogB(exact));
        return Math.Abs(seen - exact) / Math.ScaleB(1, exponent - 23);
    }

    static string[] Bits(IBackend backend, Activation kind, float[] x)
    {
        Matrix from = backend.Rent(1, x.Length), to = backend.Rent(1, x.Length);
        backend.Write(from, x);
        backend.Activate(kind, from, to);
        string[] bits = [.. backend.ToArray(to).Zip(x, (y, argument) => $"{argument:R}: {(float.IsNaN(y) ? "NaN" : BitConverter.SingleToInt32Bits(y).ToString("x8"))}")];
        backend.Return(from.Storage);
        backend.Return(to.Storage);
        return bits;
    }
}
