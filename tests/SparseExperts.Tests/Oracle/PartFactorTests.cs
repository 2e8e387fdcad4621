using System.Globalization;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>What the numbers of each expert, token or column have in common, activations of eight bits, and outputs that no fault here makes.</summary>
public sealed class PartFactorTests
{
    const int Tokens = 24, Width = 8, Experts = 6, Hidden = 10, K = 3;

    static double[] Normal(int count, ulong seed) => [.. Enumerable.Range(0, count).Select(i => (double)(float)Philox.Normal(new(seed, 0), (ulong)i))];

    static Case Right { get; } = Answered();

    static Case Answered()
    {
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(Case.Create("hf.mixtral", "eval",
        [
            new("x", "F32", [1, Tokens, Width], Normal(Tokens * Width, 1)),
            new("router.weight", "F32", [Experts, Width], Normal(Experts * Width, 2)),
            new("experts.wi", "F32", [Experts, Hidden, Width], Normal(Experts * Hidden * Width, 3)),
            new("experts.wi_gate", "F32", [Experts, Hidden, Width], Normal(Experts * Hidden * Width, 4)),
            new("experts.wo", "F32", [Experts, Width, Hidden], Normal(Experts * Hidden * Width, 5)),
        ], new() { ["k"] = K }), backend).Without("claim.loss.balance", "claim.loss.total", "claim.combine");
    }

    static Case With(string name, Func<int, double, double> change)
    {
        var claim = Right.Get(name);
        return Right.With(claim with { Values = [.. claim.Values.Select((v, i) => (double)(float)change(i, v))] });
    }

    static Verdict Judge(Case c)
    {
        static ScalarBackend<Tracked> Backend() => new();
        using var backend = Backend();
        return Causes.On(c, CaseCheck.Run(c, backend), Backend);
    }

    static void Named(string sentence, Case c)
    {
        var verdict = Judge(c);
        Assert.Contains(sentence, verdict.Say);
        Assert.False(verdict.IsCertain);
    }

    [Fact]
    public void A_factor_that_each_expert_has_in_the_gates_is_named()
    {
        var scale = Normal(Experts, 7);
        int Expert(int i) => (int)Right.Get("claim.expert").Values[i];
        Named("each expert's gates have a factor of its own", With("claim.gate", (i, v) => v * scale[Expert(i)]));
        Named("the gates of expert 2 alone are 0.5 times what should be", With("claim.gate", (i, v) => Expert(i) == 2 ? v / 2 : v));
    }

    [Fact]
    public void Another_divisor_of_each_token_is_named()
    {
        var divisor = Normal(Tokens, 8);
        Named("each token's gates have a factor of its own", With("claim.gate", (i, v) => v / divisor[i / K]));
        Named("each token's y has a factor of its own", With("claim.y", (i, v) => v * divisor[i / Width]));
    }

    [Fact]
    public void A_scale_of_columns_and_a_bias_of_experts_are_named()
    {
        var numbers = Normal(Width, 9);
        Named("each column's y has a factor of its own", With("claim.y", (i, v) => v * numbers[i % Width]));
        string[] later = ["claim.scores", "claim.expert", "claim.slot", "claim.gate", "claim.y"];
        Named("each expert's logits have a number of its own added", With("claim.logits", (i, v) => v + numbers[i % Experts]).Without(later));
    }

    /// <summary>As a test or a page has them: four significant digits, or four decimals, of which small numbers keep fewer.</summary>
    [Fact]
    public void Printed_numbers_are_said_to_be_printed()
    {
        static double As(string format, double v) => double.Parse(v.ToString(format, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        var verdict = Judge(With("claim.gate", (_, v) => As("E3", v)));
        Assert.Equal(("claim_digits", "4"), (verdict.Causes[0].What, verdict.Causes[0].Value));
        Assert.Contains("\"claim_digits\": {\"claim.gate\": 4}", verdict.Say);
        Assert.Contains("they have 4 decimals", Judge(With("claim.y", (_, v) => As("F4", v))).Say);
        // One number that is off by a whole unit of the last digit is no printed one.
        Assert.DoesNotContain("printed", Judge(With("claim.gate", (i, v) => As("E3", v) + (i == 5 ? 0.001 : 0))).Say);
    }

    [Fact]
    public void Numbers_without_a_rule_have_none()
    {
        var noise = Normal(Tokens * Width, 10);
        foreach (var name in (string[])["claim.gate", "claim.y"])
            Assert.DoesNotContain("of its own", Judge(With(name, (i, v) => v * (1 + 0.1 * noise[i]))).Say);
        // One token of many is no scale of columns.
        Named("y of token 3 alone is 1.06 times what should be", With("claim.y", (i, v) => i / Width == 3 ? 1.06 * v : v));
    }

    static double Silu(double v) => v / (1 + ReproducibleMath.Exp(-v));

    /// <summary>y of an engine in float32 that rounds what goes into a product as it is told.</summary>
    static Case Quantized(Func<double[], double[]> inputs, Func<double[], double[]> hidden)
    {
        double[] Of(string name) => Right.Get(name).Values;
        double[] x = Of("x"), wi = Of("experts.wi"), gate = Of("experts.wi_gate"), wo = Of("experts.wo"), y = new double[Tokens * Width];
        static double Dot(double[] a, double[] b, int row) => (float)b.Select((v, i) => a[row * b.Length + i] * v).Sum();
        for (var j = 0; j < Tokens * K; j++)
        {
            var (t, e) = (j / K, (int)Of("claim.expert")[j]);
            var own = inputs(x[(t * Width)..((t + 1) * Width)]);
            var h = hidden([.. Enumerable.Range(0, Hidden).Select(f => (double)(float)(Silu(Dot(gate, own, e * Hidden + f)) * Dot(wi, own, e * Hidden + f)))]);
            for (var m = 0; m < Width; m++) y[t * Width + m] += Of("claim.gate")[j] * Dot(wo, h, e * Width + m);
        }
        return Right.With(Right.Get("claim.y") with { Values = Array.ConvertAll(y, v => (double)(float)v) });
    }

    static Func<double[], double[]> Int8(double? largest = null) => row =>
    {
        var scale = (largest ?? row.Max(Math.Abs)) / 127;
        return Array.ConvertAll(row, v => Math.Round(v / scale, MidpointRounding.ToEven) * scale);
    };

    /// <summary>e4m3: four significant bits; none of these numbers is so small that it has fewer.</summary>
    static double[] E4M3(double[] row)
    {
        var scale = row.Max(Math.Abs) / 448;
        double Rounded(double v)
        {
            var step = Math.ScaleB(1, Math.Max(-6, Math.ILogB(v)) - 3);
            return Math.Round(v / step, MidpointRounding.ToEven) * step;
        }
        return Array.ConvertAll(row, v => v == 0 ? 0 : Rounded(v / scale) * scale);
    }

    [Fact]
    public void Activations_of_eight_bits_are_named()
    {
        void Is(string value, Case c) => Assert.Contains(Judge(c).Causes, cause => cause.What == "experts' activations" && cause.Value == value);
        static double[] As(double[] row) => row;
        Is("int8, one scale a token", Quantized(Int8(), Int8()));
        Is("int8, one scale a token", Quantized(Int8(), As));
        Is("int8, one scale for the whole call", Quantized(Int8(Right.Get("x").Values.Max(Math.Abs)), As));
        Is("fp8 (e4m3), one scale a token", Quantized(E4M3, E4M3));
        Assert.Contains("the experts' inputs were rounded to int8", Judge(Quantized(Int8(), As)).Say);
        Assert.Contains("and what stands before their second matrix were rounded to int8", Judge(Quantized(Int8(), Int8())).Say);
        Assert.Equal(Outcome.Agrees, Judge(Quantized(As, As)).Outcome);
    }

    [Fact]
    public void An_output_that_no_fault_makes_is_said_to_follow_or_not()
    {
        var other = Normal(Tokens * Width, 11);
        Assert.Contains("has nothing to do with what is expected", Assert.Single(Judge(With("claim.y", (i, _) => 3 * other[i])).Notes));
        Assert.Contains("follows what is expected in part", Assert.Single(Judge(With("claim.y", (i, v) => v + other[i])).Notes));
        Assert.Empty(Judge(Right).Notes);
    }
}
