using SparseExperts.Cpu;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Conformance.Cpu;

/// <summary>The elementary functions over all magnitudes, against double, in units in the last place of the exact value.</summary>
public sealed class CanonicalMathTests
{
    static readonly string[] Names = ["exp", "log", "tanh", "erf"];

    public static TheoryData<string> Functions => [.. Names];

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
        Assert.True(worst > stated / 2, $"{name} is never more than {worst:F3} ulps away (at {at:R}); {stated} is an idle statement");
    }

    [Fact]
    public void The_stated_ulps_of_the_logarithm_of_one_and_more_hold_from_0_to_1()
    {
        var worst = Arguments().Where(x => x is > 0 and <= 1).Max(x => Ulps(CanonicalMath.Log1p(x), Float64.Log1p(new(x)).Bits));
        Assert.InRange(worst, CanonicalMath.Log1pUlps / 2, CanonicalMath.Log1pUlps);
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
        float[] expected = Activated(new ScalarBackend<Float32>(), kind, x), seen = Activated(cpu, kind, x);
        var at = Enumerable.Range(0, x.Length).FirstOrDefault(i => !HasBitsOf(expected[i], seen[i]), -1);
        Assert.True(at < 0, at < 0 ? "" : $"{kind} of {x[at]:R} is {seen[at]:R}, expected {expected[at]:R}");
    }

    [Fact]
    public void Special_arguments_give_special_values()
    {
        const float infinity = float.PositiveInfinity;
        Assert.Equal((1f, 0f, infinity), (CanonicalMath.Exp(0), CanonicalMath.Exp(-infinity), CanonicalMath.Exp(infinity)));
        Assert.Equal((-infinity, infinity, 0f), (CanonicalMath.Log(0), CanonicalMath.Log(infinity), CanonicalMath.Log(1)));
        Assert.Equal((1f, -1f, 0f), (CanonicalMath.Tanh(infinity), CanonicalMath.Tanh(-infinity), CanonicalMath.Tanh(0)));
        Assert.Equal((1f, -1f, 0f), (CanonicalMath.Erf(infinity), CanonicalMath.Erf(-infinity), CanonicalMath.Erf(0)));
        Assert.All(Names, name => Assert.True(float.IsNaN(Function(name).Function(float.NaN)), name));
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

    /// <summary>Where formulas change, and where a search over all floats found the largest errors.</summary>
    static readonly float[] Breakpoints =
    [
        37.77864f, 59.92188f, 1.3982602f, 0.6310442f, 0.95391273f,
        0.625f, 0.92f, 4f, 0.34657359f, 0.70710678f, 1f, 1.41421356f, 2f, 88.72284f, 89f, 87.33655f, 103.97208f, 104f, 1.17549435e-38f,
    ];

    /// <summary>Every 2¹³-th bit pattern of both signs, a fine grid through [−110, 110], and the breakpoints with their neighbours.</summary>
    static IEnumerable<float> Arguments()
    {
        for (long bits = 0; bits < 0x7f800000; bits += 1 << 13)
        {
            var x = BitConverter.Int32BitsToSingle((int)bits + (int)(bits >> 13) % 8191);
            yield return x;
            yield return -x;
        }
        for (var i = -220_000; i <= 220_000; i++) yield return i / 2000f;
        foreach (var centre in Breakpoints)
            for (var step = -2000; step <= 2000; step++)
            {
                var x = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(centre) + step);
                yield return x;
                yield return -x;
            }
    }

    /// <summary>Distance in ulps of the float binade that holds the exact value. Infinity stands for 2¹²⁸, the float after the largest.</summary>
    static double Ulps(float seen, double exact)
    {
        if (double.IsNaN(exact) || float.IsNaN(seen)) return double.IsNaN(exact) && float.IsNaN(seen) ? 0 : double.PositiveInfinity;
        double after = Math.ScaleB(1, 128), value = Math.Clamp(exact, -after, after), number = Math.Clamp(seen, -after, after);
        return Math.Abs(number - value) / Math.ScaleB(1, Math.Clamp(Math.ILogB(value), -126, 127) - 23);
    }

    /// <summary>Equal bits, any NaN counting as any other.</summary>
    static bool HasBitsOf(float a, float b) => BitConverter.SingleToInt32Bits(a) == BitConverter.SingleToInt32Bits(b) || float.IsNaN(a) && float.IsNaN(b);

    static float[] Activated(IBackend backend, Activation kind, float[] x)
    {
        Matrix from = backend.Rent(1, x.Length), to = backend.Rent(1, x.Length);
        backend.Write(from, x);
        backend.Activate(kind, from, to);
        return backend.ToArray(to);
    }
}
