using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>The correction bias moves by the choices of all groups and earlier micro-batches together, padding left out.</summary>
public sealed class BiasUpdateTests
{
    const string Megatron = """{"like": "megatron.topk", "name": "own", "score": "sigmoid", "bias_rate": 0.5}""";
    const string Torchtitan = """{"like": "torchtitan.topk", "name": "own", "bias_rate": 0.5}""";

    /// <summary>Two groups of three tokens, k = 1, E = 3: group 0 chooses 0 0 1, group 1 chooses 2 2 2, its last two tokens padding.</summary>
    static Case Call(string dialect, double[] after, double[]? earlier = null, bool isPadded = true, string mode = "train")
    {
        int[] expert = [0, 0, 1, 2, 2, 2];
        double[] logits = [.. Enumerable.Range(0, 18).Select(i => expert[i / 3] == i % 3 ? 2.0 : 0)];
        var call = Case.Create(dialect, mode,
        [
            new("x", "F32", [2, 3, 1], new double[6]), new("router.correction_bias", "F32", [3], [0, 0, 0]), new("claim.logits", "F32", [2, 3, 3], logits),
            new("claim.expert", "I32", [2, 3, 1], [.. expert.Select(e => (double)e)]), new("claim.correction_bias", "F32", [3], after),
        ], new() { ["k"] = 1 });
        if (isPadded) call = call.With(new CaseTensor("padding", "U8", [2, 3], [1, 1, 1, 1, 0, 0]));
        return earlier is null ? call : call.With(new CaseTensor("router.previous_count", "F32", [3], earlier));
    }

    static Outcome Check(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend).Stages.Single(s => s.Stage == "correction_bias").Outcome;
    }

    [Fact]
    public void Groups_are_counted_together_and_padding_is_not()
    {
        // Real tokens: 2 1 1, mean 4/3; with padding 2 1 3, mean 2; the first group alone 2 1 0, mean 1.
        Assert.Equal(Outcome.Agrees, Check(Call(Megatron, [-0.5, 0.5, 0.5])));
        Assert.Equal(Outcome.Differs, Check(Call(Megatron, [0, 0.5, -0.5])));
        Assert.Equal(Outcome.Differs, Check(Call(Megatron, [-0.5, 0, 0.5])));
        Assert.Equal(Outcome.Agrees, Check(Call(Megatron, [0, 0.5, -0.5], isPadded: false)));
    }

    [Fact]
    public void A_centred_step_is_centred_over_the_same_counts()
    {
        Assert.Equal(Outcome.Agrees, Check(Call(Torchtitan, [-0.5 - 0.5 / 3, 0.5 - 0.5 / 3, 0.5 - 0.5 / 3])));
        Assert.Equal(Outcome.Differs, Check(Call(Torchtitan, [-0.5, 0.5, 0.5])));
    }

    [Fact]
    public void Earlier_micro_batches_count_too()
    {
        // 2 1 1 and 0 5 0 are 2 6 1, mean 3.
        Assert.Equal(Outcome.Agrees, Check(Call(Megatron, [0.5, -0.5, 0.5], [0, 5, 0])));
        Assert.Equal(Outcome.Differs, Check(Call(Megatron, [-0.5, 0.5, 0.5], [0, 5, 0])));
    }

    [Fact]
    public void Padding_counts_where_the_dialect_says_so()
    {
        const string all = """{"like": "megatron.topk", "name": "own", "score": "sigmoid", "bias_rate": 0.5, "bias_tokens": "all"}""";
        Assert.Equal(Outcome.Agrees, Check(Call(all, [0, 0.5, -0.5])));
        Assert.Equal(Outcome.Differs, Check(Call(all, [-0.5, 0.5, 0.5])));
    }

    /// <summary>2 5 1 0, mean 2: steps 0, −½, ½, ½ with the mean ⅛.</summary>
    [Fact]
    public void An_expert_at_the_mean_moves_only_where_the_step_is_centred()
    {
        double[] bias = [0, 0, 0, 0];
        var centred = BuiltIn.Named("torchtitan.topk") with { BiasRate = 0.5 };
        Assert.Equal([0, -0.5, 0.5, 0.5], CorrectionBias.Step(BuiltIn.Named("megatron.topk") with { BiasRate = 0.5 }, [2, 5, 1, 0], bias));
        Assert.Equal([-0.125, -0.625, 0.375, 0.375], CorrectionBias.Step(centred, [2, 5, 1, 0], bias));
    }

    /// <summary>Every expert is filled up to two tokens a group, so that all are at the mean.</summary>
    [Fact]
    public void Experts_that_are_filled_up_to_their_capacity_do_not_move()
    {
        const string filled = """{"like": "megatron.topk", "name": "own", "score": "sigmoid", "bias_rate": 0.5, "capacity": 2, "pad_to_capacity": true}""";
        var counted = Call(filled, [0, 0, 0]).With(new CaseTensor("claim.count", "I32", [2, 3], [2, 2, 2, 2, 2, 2]));
        Assert.Equal(Outcome.Agrees, Check(counted));
        using var backend = new ScalarBackend<Tracked>();
        Assert.Equal(Outcome.Agrees, CaseCheck.Run(counted, backend).Stages.Single(s => s.Stage == "count").Outcome);
        Assert.Equal(Outcome.Differs, Check(Call(filled.Replace("true", "false"), [0, 0, 0])));
        // Without a capacity there is nothing to fill up to.
        Assert.Equal(Outcome.Agrees, Check(Call(filled.Replace("\"capacity\": 2, ", ""), [-0.5, 0.5, 0.5])));
    }

    /// <summary>A global loss counts a top-k of its own, which is not what the bias is stepped by.</summary>
    [Fact]
    public void Counts_of_a_global_loss_do_not_step_the_bias()
    {
        var global = Megatron.Replace("}", ", \"balance_level\": \"global\", \"previous_batches\": 1}");
        Assert.Equal(Outcome.Agrees, Check(Call(global, [-0.5, 0.5, 0.5], [0, 5, 0])));
        Assert.Equal(Outcome.Differs, Check(Call(global, [0.5, -0.5, 0.5], [0, 5, 0])));
        Assert.Contains("no router.previous_count", Assert.Throws<CaseException>(() => Check(Call(global, [-0.5, 0.5, 0.5]))).Message);
    }

    /// <summary>Libraries count in training alone; a file that claims an update has made one.</summary>
    [Fact]
    public void Answers_of_evaluation_claim_no_update()
    {
        Assert.Equal(Outcome.Agrees, Check(Call(Megatron, [-0.5, 0.5, 0.5], mode: "eval")));
        using var backend = new ScalarBackend<Float32>();
        var plain = Probes.Of(BuiltIn.Named("megatron.topk")).Where(p => p.Name.StartsWith("plain-", StringComparison.Ordinal));
        var probes = plain.Select(p => CaseAnswers.Fill(p.Case, backend));
        Assert.All(probes, p => Assert.Equal(p.Training, p.Has("claim.correction_bias")));
    }

    [Fact]
    public void Counts_that_no_bias_is_stepped_by_are_refused()
    {
        var counted = Call("""{"like": "hf.longcat_flash", "name": "own"}""", [0, 0, 0], [0, 5, 0]);
        Assert.Contains("no bias is stepped by counts", Assert.Throws<CaseException>(() => Check(counted)).Message);
        Assert.Contains("give both", Assert.Throws<CaseException>(() => Check(Call(Megatron, [0, 0, 0], [0, 5, 0]).Without("router.correction_bias"))).Message);
        Assert.Throws<ArgumentException>(() => CorrectionBias.Step(BuiltIn.Named("megatron.topk"), new double[6], new double[3]));
    }

    public static TheoryData<string> Stepped() => [.. BuiltIn.All.Where(d => d.CorrectionBias && d.BiasRate > 0 && !d.BiasOfImages).Select(d => d.Name)];

    /// <summary>What a probe of two groups answers, and what its own counts say, are one.</summary>
    [Theory, MemberData(nameof(Stepped))]
    public void Answers_and_counts_agree(string dialect)
    {
        using var backend = new ScalarBackend<Float32>();
        var probe = CaseAnswers.Fill(Probes.Of(BuiltIn.Named(dialect), "train").Single(p => p.Name == "groups-train").Case, backend);
        CaseTensor counts = probe.Get("claim.count"), before = probe.Get("router.correction_bias");
        var experts = counts.Size(-1);
        double[] pooled = [.. Enumerable.Range(0, experts).Select(e => counts.Values[e] + counts.Values[experts + e])];
        Assert.Equal(CorrectionBias.Step(probe.Dialect, pooled, before.Values), probe.Get("claim.correction_bias").Values);
    }

    [Fact]
    public void A_quantile_is_left_centred()
    {
        using var backend = new ScalarBackend<Float32>();
        var probe = CaseAnswers.Fill(Probes.Of(BuiltIn.Named("megatron.quantile"), "train").Single(p => p.Name == "groups-train").Case, backend);
        var after = probe.Get("claim.correction_bias").Values;
        Assert.NotEqual(probe.Get("router.correction_bias").Values, after);
        Assert.Equal(0, after.Sum(), 1e-12);
        Assert.Equal(Outcome.Agrees, Check(probe));
        Assert.Equal(Outcome.Differs, Check(probe.With(probe.Get("claim.correction_bias") with { Values = [.. after.Select(b => b + 1e-3)] })));
    }
}
