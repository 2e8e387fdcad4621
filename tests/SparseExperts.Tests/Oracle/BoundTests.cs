using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Bounds are wide enough for every right float32 computation, and narrow enough to see a wrong one.</summary>
public sealed class BoundTests
{
    static Outcome Check(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend).Outcome;
    }

    static CaseTensor Reals(string name, long[] shape, IEnumerable<double> values) => new(name, "F32", shape, [.. values.Select(v => (double)(float)v)]);

    // Orders of summation.

    delegate float Sum(ReadOnlySpan<float> a, ReadOnlySpan<float> b);

    static float Chain(ReadOnlySpan<float> a, ReadOnlySpan<float> b, int first, int step)
    {
        var sum = 0f;
        for (var i = first; i >= 0 && i < a.Length; i += step) sum = MathF.FusedMultiplyAdd(a[i], b[i], sum);
        return sum;
    }

    static float Rounded(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = 0f;
        for (var i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    static float Halves(ReadOnlySpan<float> a, ReadOnlySpan<float> b) => a.Length == 1 ? a[0] * b[0]
        : Halves(a[..(a.Length / 2)], b[..(a.Length / 2)]) + Halves(a[(a.Length / 2)..], b[(a.Length / 2)..]);

    static float Lanes(ReadOnlySpan<float> a, ReadOnlySpan<float> b, int count)
    {
        var sum = 0f;
        for (var lane = 0; lane < count; lane++) sum += Chain(a, b, lane, count);
        return sum;
    }

    static readonly Dictionary<string, Sum> Orders = new()
    {
        ["ascending"] = (a, b) => Chain(a, b, 0, 1),
        ["backwards"] = (a, b) => Chain(a, b, a.Length - 1, -1),
        ["without fusing"] = Rounded,
        ["two lanes"] = (a, b) => Lanes(a, b, 2),
        ["eight lanes"] = (a, b) => Lanes(a, b, 8),
        ["pairwise"] = Halves,
    };

    public static TheoryData<string> OrderNames => [.. Orders.Keys];

    /// <summary>64 tokens whose numbers come in pairs that nearly cancel: a chain's running sums stay small, while those of two lanes do not.</summary>
    static Case Cancelling(Sum sum, double off)
    {
        const int Tokens = 64, Width = 256, Experts = 4;
        var stream = new RandomStream(5, 0);
        float[] x = new float[Tokens * Width], weight = new float[Experts * Width];
        for (var i = 0; i < x.Length; i++)
            x[i] = (float)(i % 2 == 0 ? 100 * Philox.Normal(stream, (ulong)i) : -x[i - 1] + Philox.Normal(stream, (ulong)i) / 100);
        for (var i = 0; i < weight.Length; i++) weight[i] = i % 2 == 0 ? (float)Philox.Normal(stream, (ulong)(x.Length + i)) : weight[i - 1];
        var logits = new double[Tokens * Experts];
        for (var i = 0; i < logits.Length; i++)
            logits[i] = sum(x.AsSpan(i / Experts * Width, Width), weight.AsSpan(i % Experts * Width, Width)) + (i == 7 ? off : 0);
        return Case.Create("hf.mixtral", "eval",
        [
            Reals("x", [1, Tokens, Width], x.Select(v => (double)v)), Reals("router.weight", [Experts, Width], weight.Select(v => (double)v)),
            Reals("claim.logits", [1, Tokens, Experts], logits),
        ]);
    }

    [Theory, MemberData(nameof(OrderNames))]
    public void Logits_that_cancel_agree_in_whatever_order_they_were_summed(string order)
    {
        Assert.Equal(Outcome.Agrees, Check(Cancelling(Orders[order], 0)));
        Assert.Equal(Outcome.Differs, Check(Cancelling(Orders[order], 0.5)));
    }

    // Scores that no order rounds.

    [Theory]
    [InlineData("megatron.topk")]
    [InlineData("megatron.sinkhorn")]
    [InlineData("remoe.relu")]
    [InlineData("lewis.base")]
    public void Scores_that_are_the_logits_are_held_to_their_last_bit(string dialect)
    {
        var asked = Probes.Of(BuiltIn.Named(dialect)).First(p => p.Name == "near-ties-eval").Case;
        var rounded = asked.Dialect with { ScoreDtype = NumberFormat.BFloat16 };
        using var answering = new ScalarBackend<Float32>();
        Assert.Equal(Outcome.Agrees, Check(CaseAnswers.Fill(asked, answering)));
        Assert.Equal(Outcome.Differs, Check(CaseAnswers.Fill(asked.Under(rounded), answering).Under(asked.Dialect)));
    }

    // Masked logits.

    [Theory]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.MinValue)]
    [InlineData(-3e38f)]
    public void A_masked_logit_is_an_exact_zero_and_hides_no_other_score(float masked)
    {
        Case With(double first, double second, double last) => Case.Create("hf.mixtral", "eval",
        [
            Reals("x", [1, 1, 1], [0]),
            Reals("claim.logits", [1, 1, 4], [1, 1, masked, masked]), Reals("claim.scores", [1, 1, 4], [first, second, last, 0]),
            Reals("claim.gate", [1, 1, 2], [first, second]), new("claim.expert", "I32", [1, 1, 2], [0, 1]),
        ]);
        Assert.Equal(Outcome.Agrees, Check(With(0.5, 0.5, 0)));
        Assert.Equal(Outcome.Differs, Check(With(0.9, 0.1, 0)));
        Assert.Equal(Outcome.Differs, Check(With(0.5, 0.5, 1e-30)));
    }

    // Scores near 0.

    public static TheoryData<string, double, double> SmallScores
    {
        get
        {
            var data = new TheoryData<string, double, double>();
            foreach (var dialect in (string[])["hf.deepseek_v3", "hf.deepseek_v4"])
                foreach (var logit in (double[])[-2, -12, -16, -17, -20, -40, -60, -80])
                    foreach (var factor in (double[])[0, 0.9999, 1, 1.0001, 2]) data.Add(dialect, logit, factor);
            return data;
        }
    }

    [Theory, MemberData(nameof(SmallScores))]
    public void A_small_sigmoid_or_softplus_is_held_to_its_own_size(string dialect, double logit, double factor)
    {
        var e = Math.Exp(logit);
        var score = dialect == "hf.deepseek_v3" ? e / (1 + e) : Math.Sqrt(e < 1e-10 ? e : Math.Log(1 + e));
        var file = Case.Create(dialect, "eval",
            [Reals("x", [1, 1, 1], [0]), Reals("claim.logits", [1, 1, 16], Enumerable.Repeat(logit, 16)),
                Reals("claim.scores", [1, 1, 16], Enumerable.Repeat(factor * score, 16))],
            dialect == "hf.deepseek_v3" ? new() { ["k"] = 2, ["groups"] = 1, ["groups_kept"] = 1 } : new() { ["k"] = 2 });
        Assert.Equal(factor == 1 ? Outcome.Agrees : Outcome.Differs, Check(file));
    }

    // Exact results.

    [Fact]
    public void One_class_costs_nothing_and_one_key_has_all_the_attention_exactly()
    {
        using var backend = new ScalarBackend<Tracked>();
        Matrix Of(params double[] values)
        {
            var matrix = backend.Rent(1, values.Length);
            backend.Write(matrix, values);
            return matrix;
        }
        Matrix loss = backend.Rent(1, 1), sum = backend.Rent(1, 1), p = backend.Rent(1, 1), y = backend.Rent(1, 3);
        backend.CrossEntropy(Of(0.3f), backend.Upload([0]), 0, loss, sum);
        Assert.Equal((0, 0), (backend.Elements(loss)[0].Value, backend.Elements(loss)[0].Error));
        Assert.Equal(0, backend.Elements(sum)[0].Error);
        backend.Attention(new(1, 1, 1, 1, 3, 0.5, false), Of(0.1f, 0.2f, 0.3f), Of(0.4f, 0.5f, 0.6f), Of(0.7f, 0.8f, 0.9f), default, p, y);
        Assert.Equal(new Tracked(1, 0).Error, backend.Elements(p)[0].Error);
        Assert.All(backend.Elements(y), element => Assert.Equal(0, element.Error));
    }

    // Sums.

    [Fact]
    public void A_sum_is_one_sum_however_many_operations_it_is_written_in()
    {
        Tracked[] terms = [.. Enumerable.Range(0, 9).Select(i => new Tracked((float)Philox.Normal(new(3, 0), (ulong)i), 0))];
        var chain = terms.Aggregate((a, b) => a + b);
        var tree = (terms[0] + (terms[1] + terms[2])) + ((terms[3] - -terms[4]) + Tracked.Fma(terms[5], new(1, 0), terms[6])) + (terms[7] + terms[8]);
        var mass = terms.Sum(t => Math.Abs(t.Value));
        Assert.Equal(chain.Error, tree.Error, 1e-20);
        Assert.Equal(8 / 16777216.0 / (1 - 8 / 16777216.0) * mass, chain.Error, 1e-14);
    }

    [Fact]
    public void Turning_and_moving_numbers_costs_nothing_and_neither_do_sums_that_fit()
    {
        Tracked third = new(1.0 / 3, 1e-9), zero = new(0, 0), one = new(1, 0);
        Assert.Equal(1e-9, Tracked.Fma(one, third, Tracked.Fma(zero, third, zero)).Error);
        Assert.Equal(0, (new Tracked(0.375, 0) * new Tracked(-1.5, 0) + new Tracked(100, 0) - new Tracked(0.125, 0)).Error);
        Assert.True((new Tracked(16777216, 0) + new Tracked(0.125, 0) - new Tracked(16777216, 0)).Error > 0);
    }

    [Fact]
    public void A_cut_at_a_kink_knows_that_the_number_may_lie_beyond_it()
    {
        using var backend = new ScalarBackend<Tracked>();
        Matrix x = backend.Rent(1, 3), y = backend.Rent(1, 3);
        backend.WriteErrors(x, [-1e-6, -1, 0], [1e-5, 1e-5, 0]);
        backend.Activate(Activation.Relu, x, y);
        var cut = backend.Elements(y);
        Assert.True(cut[0].Error >= 9e-6);
        Assert.Equal((0, 0), (cut[1].Error, cut[2].Error));
    }
}
