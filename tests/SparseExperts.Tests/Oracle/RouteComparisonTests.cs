using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Two engines on the same tokens: each mismatch is put down to its cause, and routes of one can be forced on the other.</summary>
public sealed class RouteComparisonTests
{
    const int Tokens = 4096, Width = 24, Experts = 16;

    static double[] Normal(int count, ulong seed, double scale = 1) =>
        [.. Enumerable.Range(0, count).Select(i => (double)(float)(scale * Philox.Normal(new(seed, 0), (ulong)i)))];

    /// <summary>An engine's answers to tokens x, and the same with its logits rounded to a format.</summary>
    static Case Engine(double[] x, string format = "F32", string dialect = "hf.mixtral", double[]? wi = null)
    {
        const int hidden = 8;
        var asked = Case.Create(dialect, "eval",
        [
            new("x", "F32", [1, Tokens, Width], x),
            new("router.weight", "F32", [Experts, Width], Normal(Experts * Width, 2, 0.2)),
            new("experts.wi", "F32", [Experts, hidden, Width], wi ?? Normal(Experts * hidden * Width, 3, 0.2)),
            new("experts.wi_gate", "F32", [Experts, hidden, Width], Normal(Experts * hidden * Width, 4, 0.2)),
            new("experts.wo", "F32", [Experts, Width, hidden], Normal(Experts * hidden * Width, 5, 0.2)),
        ]);
        var exact = Fill(asked);
        if (format == "F32") return exact;
        var logits = exact.Get("claim.logits");
        var rounded = logits with { DType = format, Values = Array.ConvertAll(logits.Values, v => Rounding.To(NumberFormat.BFloat16, v)) };
        // The gates and scores stay float32, as where only the router's product is in low precision.
        return Fill(asked.Without("router.weight").With(rounded)).With(rounded, asked.Get("router.weight"));
    }

    static Case Fill(Case asked)
    {
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(asked, backend);
    }

    static RouteComparison Compare(Case a, Case b)
    {
        using var backend = new ScalarBackend<Tracked>();
        return RouteComparison.Of("layer", a, b, backend);
    }

    static Verdict Check(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend);
    }

    static Case WithRoutes(Case file, Action<int[]> change)
    {
        var claim = file.Get("claim.expert");
        var experts = claim.Integers;
        change(experts);
        return file.With(claim with { Values = Array.ConvertAll(experts, e => (double)e) });
    }

    static readonly double[] X = Normal(Tokens * Width, 1);

    [Fact]
    public void An_engine_agrees_with_itself()
    {
        var result = Compare(Engine(X), Engine(X));
        Assert.Equal((Tokens, 2 * Tokens), (result.Tokens, result.Choices));
        Assert.Equal((0, 0, 0), (result.TokensApart, result.ChoicesApart, result.Reordered));
        Assert.Equal((1.0, 0.0), (result.Overlap, result.GateLargest));
        Assert.Equal(0, result.OutputTogether);
    }

    [Fact]
    public void Logits_in_bfloat16_explain_the_mismatches_that_they_cause()
    {
        Case a = Engine(X), b = Engine(X, "BF16");
        var result = Compare(a, b);
        Assert.True(result.TokensApart > 0, "the seed must give near ties");
        Assert.Equal(result.TokensApart, result.Causes[MismatchCause.Rounding]);
        Assert.True(result.Overlap < 1 && result.Overlap >= 1 - (double)result.TokensApart / Tokens);
        Assert.True(result.OutputApart > 10 * result.OutputTogether, $"{result.OutputApart} {result.OutputTogether}");
        Assert.Equal(1 - (double)result.ChoicesApart / result.Choices, result.Overlap, 1e-12);
    }

    [Fact]
    public void Other_inputs_explain_what_rounding_cannot()
    {
        var disturbed = X.Zip(Normal(X.Length, 9, 0.05), (x, d) => (double)(float)(x + d)).ToArray();
        var result = Compare(Engine(X), Engine(disturbed));
        Assert.True(result.Causes[MismatchCause.Inputs] > 10);
        Assert.Equal(result.TokensApart, result.Causes[MismatchCause.Inputs] + result.Causes[MismatchCause.Rounding]);
    }

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 1)]
    public void A_route_against_the_engines_own_logits_is_found(bool first, int engine)
    {
        var right = Engine(X);
        var wrong = WithRoutes(right, e => e[2 * 7] = Enumerable.Range(0, Experts).First(n => n != e[14] && n != e[15]));
        var result = first ? Compare(wrong, right) : Compare(right, wrong);
        Assert.Equal((1, 1), (result.TokensApart, result.Causes[MismatchCause.Unexplained]));
        Assert.Equal(("layer", 7, engine), result.FirstUnexplained);
    }

    /// <summary>A bias that one engine adds for selection moves tokens although the logits are equal.</summary>
    [Fact]
    public void Another_rule_on_the_same_logits_is_told_from_other_inputs()
    {
        var plain = Engine(X, dialect: "hf.deepseek_v3");
        var biased = Fill(plain.With(new CaseTensor("router.correction_bias", "F32", [Experts], [.. Enumerable.Range(0, Experts).Select(e => e / 16.0)])));
        var result = Compare(plain, biased);
        Assert.True(result.TokensApart > 100);
        Assert.Equal(0, result.Causes[MismatchCause.Inputs] + result.Causes[MismatchCause.Unexplained]);
        Assert.True(result.Causes[MismatchCause.Rule] > 100);
    }

    [Fact]
    public void Without_logits_no_cause_is_claimed()
    {
        var right = Engine(X).Without("claim.logits", "router.weight", "claim.scores");
        var wrong = WithRoutes(right, e => (e[0], e[1]) = (e[1], Enumerable.Range(0, Experts).First(n => n != e[0] && n != e[1])));
        // Nothing is left that says how many experts there are but the expert weights.
        Assert.Equal(1, Compare(right, wrong).Causes[MismatchCause.Unknown]);
    }

    [Fact]
    public void Another_order_is_no_mismatch()
    {
        var right = Engine(X);
        var result = Compare(right, WithRoutes(right, e => (e[0], e[1]) = (e[1], e[0])));
        Assert.Equal((0, 1), (result.TokensApart, result.Reordered));
    }

    [Fact]
    public void Padding_is_not_compared()
    {
        var padding = new CaseTensor("padding", "U8", [1, Tokens], [.. Enumerable.Range(0, Tokens).Select(t => t == 7 ? 0.0 : 1)]);
        var right = Engine(X);
        var wrong = WithRoutes(right, e => e[14] = Enumerable.Range(0, Experts).First(n => n != e[14] && n != e[15])).With(padding);
        Assert.Equal((Tokens - 1, 0), (Compare(right, wrong).Tokens, Compare(right, wrong).TokensApart));
    }

    [Fact]
    public void Rows_of_several_calls_add_up()
    {
        Case a = Engine(X), b = Engine(X, "BF16");
        var one = Compare(a, b);
        var same = Compare(a, a);
        var sum = RouteComparison.Sum("both", [one, same]);
        Assert.Equal((2 * Tokens, one.TokensApart, one.Causes[MismatchCause.Rounding]), (sum.Tokens, sum.TokensApart, sum.Causes[MismatchCause.Rounding]));
        Assert.Equal((one.Overlap + 1) / 2, sum.Overlap, 1e-12);
        Assert.Equal(one.OutputApart!.Value, sum.OutputApart!.Value, 1e-12);
    }

    /// <summary>Gates come from the engine's own full scores at the forced ids: every stage but the choice itself is right.</summary>
    [Theory]
    [InlineData("hf.mixtral")]
    [InlineData("hf.qwen2_moe")]
    public void Replayed_routes_get_gates_from_the_full_scores(string dialect)
    {
        Case train = Engine(X, dialect: dialect), rollout = Engine(X, "BF16", dialect);
        using var backend = new ScalarBackend<Float32>();
        var replayed = CaseAnswers.Replay(train, rollout, backend);
        Assert.Equal(rollout.Get("claim.expert").Values, replayed.Get("claim.expert").Values);
        Assert.Equal(train.Get("claim.scores").Values, replayed.Get("claim.scores").Values);
        var verdict = Check(replayed);
        Assert.All(verdict.Stages, s => Assert.True(s.Outcome == Outcome.Agrees || s.Stage == "expert", s.ToString()));
        // At tokens that go elsewhere the gates are not what either engine had, and are not 0.
        var k = replayed.Get("claim.expert").Size(-1);
        double[] Experts(Case c, int t) => [.. c.Get("claim.expert").Values.AsSpan(t * k, k).ToArray().Order()];
        var moved = Enumerable.Range(0, Tokens).Where(t => !Experts(train, t).SequenceEqual(Experts(rollout, t))).ToArray();
        Assert.NotEmpty(moved);
        Assert.All(moved, t => Assert.All(replayed.Get("claim.gate").Values.AsSpan(t * k, k).ToArray(), g => Assert.True(g > 0)));
    }

    [Fact]
    public void Own_routes_replayed_give_the_own_answers()
    {
        var own = Engine(X);
        using var backend = new ScalarBackend<Float32>();
        var replayed = CaseAnswers.Replay(own, own, backend);
        foreach (var tensor in own.Tensors) Assert.Equal(tensor.Values, replayed.Get(tensor.Name).Values);
    }

    [Fact]
    public void Routes_that_cannot_be_are_refused()
    {
        var own = Engine(X);
        using var backend = new ScalarBackend<Float32>();
        string Refused(Case routes) => Assert.Throws<CaseException>(() => CaseAnswers.Replay(own, routes, backend)).Message;
        Assert.Contains("no claim.expert", Refused(own.Without("claim.expert")));
        Assert.Contains($"outside −1 … {Experts - 1}", Refused(WithRoutes(own, e => e[3] = Experts)));
        Assert.Contains("replay routes of as many", Refused(Engine(X, dialect: """{ "like": "hf.mixtral", "k": 3 }""")));
        var probe = Fill(Probes.Of(BuiltIn.Named("hf.mixtral"), "eval")[0].Case);
        Assert.Contains("compare the same tokens", Assert.Throws<CaseException>(() => Compare(own, probe)).Message);
    }

    static Case Probe(string dialect, string name) => Probes.Of(BuiltIn.Named(dialect)).First(p => p.Name == name).Case;

    /// <summary>The same call with its tokens' numbers mirrored: other logits everywhere.</summary>
    static Case Mirrored(Case asked) => asked.With(asked.Get("x") with { Values = Array.ConvertAll(asked.Get("x").Values, v => -v) });

    /// <summary>Choices that a policy did not make are −1, and belong to what an engine's own numbers ask for.</summary>
    [Theory]
    [InlineData("fastmoe.gshard")]
    [InlineData("remoe.relu")]
    [InlineData("lepikhin.gshard")]
    public void Choices_that_are_not_made_are_no_departure(string dialect)
    {
        var asked = Probe(dialect, "plain-train");
        var result = Compare(Fill(asked), Fill(Mirrored(asked)));
        Assert.True(result.TokensApart > 0);
        Assert.Equal((0, 0), (result.Causes[MismatchCause.Unexplained], result.Causes[MismatchCause.Rule]));
    }

    [Fact]
    public void Other_draws_are_other_inputs_and_no_other_rule()
    {
        var asked = Probe("deepspeed.top2", "plain-train");
        var draws = asked.Get("draws.uniform_gumbel");
        var result = Compare(Fill(asked), Fill(asked.With(draws with { Values = [.. draws.Values.Reverse()] })));
        Assert.True(result.TokensApart > 0);
        Assert.Equal(result.TokensApart, result.Causes[MismatchCause.Inputs] + result.Causes[MismatchCause.Rounding]);
    }

    [Fact]
    public void A_token_with_an_expert_twice_agrees_with_itself()
    {
        var twice = WithRoutes(Engine(X), e => e[1] = e[0]);
        Assert.Equal(0, Compare(twice, twice).TokensApart);
    }

    [Fact]
    public void Combine_weights_alone_show_who_was_kept()
    {
        var full = Fill(Probe("mesh.switch", "overflow-train"));
        Assert.Equal(0, Compare(full, full.Without("claim.expert", "claim.slot", "claim.gate")).TokensApart);
    }

    [Fact]
    public void Numbers_that_are_not_finite_are_said_and_not_hidden()
    {
        var right = Engine(X);
        var gate = right.Get("claim.gate");
        var wrong = right.With(gate with { Values = [double.NaN, .. gate.Values[1..]] }).Without("claim.combine");
        var result = Compare(right.Without("claim.combine"), wrong);
        Assert.True(result.HasNaN && RouteComparison.Sum("both", [Compare(right, right), result]).HasNaN);
        Assert.Contains("not finite", result.Say());
        Assert.Null(Compare(right.Without("claim.y"), right).Output);

        // An output of nothing but zeros is claimed: equal to itself, and apart from any other by the whole of that.
        var y = right.Get("claim.y");
        var nothing = right.With(y with { Values = new double[y.Values.Length] });
        Assert.Equal((0.0, 1.0, 1.0), (Compare(nothing, nothing).Output, Compare(nothing, right).Output, Compare(right, nothing).Output));
    }

    /// <summary>What replay writes is right by its own file, whatever the formats of the old claims.</summary>
    [Fact]
    public void A_replayed_case_in_low_precision_agrees_with_itself()
    {
        CaseTensor Brain(CaseTensor t) => t with { DType = "BF16", Values = Array.ConvertAll(t.Values, v => Rounding.To(NumberFormat.BFloat16, v)) };
        var asked = Probe("hf.mixtral", "plain-train").Without("cotangent.y");
        asked = Fill(asked.With(asked.Tensors.Where(t => t.DType == "F32").Select(Brain).ToArray()));
        asked = asked.With(Brain(asked.Get("claim.logits")));
        using var backend = new ScalarBackend<Float32>();
        Assert.Null(Check(CaseAnswers.Replay(asked, asked, backend)).Culprit);
    }

    [Fact]
    public void Forced_slots_are_claimed_and_impossible_ones_refused()
    {
        Case dropping = Fill(Probe("mesh.switch", "overflow-eval")), dropless = Fill(Probe("hf.switch.v5", "overflow-eval"));
        using var backend = new ScalarBackend<Float32>();
        var replayed = CaseAnswers.Replay(dropless, dropping, backend);
        Assert.Equal(dropping.Get("claim.slot").Values, replayed.Get("claim.slot").Values);
        var slot = dropping.Get("claim.slot");
        var crowded = dropping.With(slot with { Values = new double[slot.Values.Length] });
        var refused = Assert.Throws<CaseException>(() => CaseAnswers.Replay(dropless, crowded, backend));
        Assert.Contains("which another token has", refused.Message);
    }
}
