using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Faults of a layer's output, of its gradients and of one factor are named in words; what is right is accused of nothing.</summary>
public class CausesTests
{
    const int Experts = 8, F = 4, M = 4, Tokens = 24;

    static ScalarBackend<Tracked> Bounds() => new();

    /// <summary>A call of a dialect with everything that it has, answered by the definition.</summary>
    static Case Answered(string dialect, JsonObject? parameters = null, int identity = 0)
    {
        CaseTensor Of(string name, params long[] shape)
        {
            var stream = new RandomStream(5, (ulong)name.Sum(c => c * 7));
            var count = (int)shape.Aggregate((a, b) => a * b);
            return new(name, "F32", shape, [.. Enumerable.Range(0, count).Select(i => Math.Round(64 * Philox.Normal(stream, (ulong)i)) / 64)]);
        }
        CaseTensor[] inputs =
        [
            Of("x", 1, Tokens, M), Of("router.weight", Experts + identity, M), Of("experts.wi_gate", Experts, F, M), Of("experts.wi", Experts, F, M),
            Of("experts.wo", Experts, M, F), Of("experts.bo", Experts, M), Of("cotangent.y", 1, Tokens, M),
            .. identity > 0 ? Array.Empty<CaseTensor>() : [Of("shared.wi", F, M), Of("shared.wi_gate", F, M), Of("shared.wo", M, F)],
        ];
        using var backend = new ScalarBackend<Float64>();
        return CaseAnswers.Fill(Case.Create(dialect, "train", inputs, parameters ?? new JsonObject { ["k"] = 2 }), backend);
    }

    static Verdict Judge(Case c)
    {
        using var backend = Bounds();
        return Causes.On(c, CaseCheck.Run(c, backend), Bounds);
    }

    static Case Without(Case c, params string[] starts) =>
        c.Without(c.Tensors.Select(t => t.Name).Where(name => starts.Any(start => name.StartsWith(start, StringComparison.Ordinal))));

    static Case WithY(Case c, double[] y) => Without(c, "claim.grad.")
        .With(c.Get("claim.y") with { Values = Array.ConvertAll(y, v => (double)(float)v) });

    [Fact]
    public void Every_fault_that_is_made_again_is_named_and_a_right_call_is_accused_of_nothing()
    {
        var right = Answered("hf.deepseek_v3", new JsonObject { ["k"] = 2, ["scaling_factor"] = 2.5, ["groups"] = 1, ["groups_kept"] = 1 });
        Assert.Empty(Judge(right).Causes);
        var names = 0;
        foreach (var variant in OutputVariants.Of(right))
        {
            using var backend = Bounds();
            var gradients = variant.Case.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.grad.", StringComparison.Ordinal));
            var y = CaseCheck.Run(variant.Case.Without(gradients), backend).Stages.Single(s => s.Stage == "y").Numbers!.Expected;
            var verdict = Judge(WithY(right, y));
            if (verdict.Outcome == Outcome.Agrees) continue;
            Assert.Equal("y", verdict.Culprit?.Stage);
            Assert.Contains(verdict.Causes, c => c.Sentence == variant.Cause.Sentence || c.What == "y");
            names++;
        }
        Assert.True(names > 50, $"{names} faults");
    }

    /// <summary>What is no number departs like any other, and no rounding and no factor is blamed for it; where it went in, that is said.</summary>
    [Theory]
    [InlineData("claim.y", double.NaN, "y")]
    [InlineData("claim.y", double.PositiveInfinity, "y")]
    [InlineData("claim.gate", double.NaN, "gate")]
    [InlineData("claim.logits", double.PositiveInfinity, "logits")]
    [InlineData("claim.logits", double.NaN, "logits")]
    [InlineData("claim.scores", double.NaN, "scores")]
    [InlineData("claim.scores", double.PositiveInfinity, "scores")]
    [InlineData("x", double.PositiveInfinity, "logits")]
    [InlineData("experts.wi_gate", double.PositiveInfinity, "y")]
    public void One_number_that_is_none_is_a_difference_without_a_cause(string tensor, double value, string stage)
    {
        var right = Without(Answered("hf.mixtral"), "cotangent.", "claim.grad.", "shared.");
        var values = (double[])right.Get(tensor).Values.Clone();
        values[5] = value;
        var verdict = Judge(right.With(right.Get(tensor) with { Values = values }));
        Assert.Equal(stage, verdict.Culprit?.Stage);
        Assert.Empty(verdict.Causes);
        if (double.IsNaN(value) && stage != "y") Assert.Contains($"1 of the {values.Length} claimed numbers is NaN, first at ", verdict.Say);
        var said = $"{tensor} holds Infinity at place 5";
        if (!tensor.StartsWith("claim.", StringComparison.Ordinal)) Assert.Contains(verdict.Notes, n => n.StartsWith(said, StringComparison.Ordinal));
    }

    /// <summary>With more tokens than numbers in one a matrix is determined, and that there is one says what to look for.</summary>
    [Theory]
    [InlineData("latent", true)]
    [InlineData("weight", true)]
    [InlineData("noise", false)]
    [InlineData("squares", false)]
    public void Logits_that_are_the_tokens_times_another_matrix_are_said_to_be(string fault, bool isSaid)
    {
        var right = Without(Answered("hf.mixtral"), "cotangent.", "claim.grad.", "shared.", "experts.", "claim.");
        CaseTensor x = right.Get("x"), weight = right.Get("router.weight");
        double Other(int e, int m) => fault == "weight" ? Math.Sin(7 * e + m) : weight.Values[e * M + (m + 1) % M] + weight.Values[e * M + m] / 3;
        double Logit(int t, int e) => fault == "noise" ? Math.Sin(31 * t + e * e)
            : Enumerable.Range(0, M).Sum(m => (fault == "squares" ? x.Values[t * M + m] : 1) * x.Values[t * M + m] * Other(e, m));
        double[] logits = [.. Enumerable.Range(0, Tokens * Experts).Select(i => (double)(float)Logit(i / Experts, i % Experts))];
        var verdict = Judge(right.With(new CaseTensor("claim.logits", "F32", [1, Tokens, Experts], logits)));
        Assert.Equal("logits", verdict.Culprit?.Stage);
        Assert.Empty(verdict.Causes);
        var said = $"all {logits.Length} claimed logits are x times one other matrix";
        Assert.Equal(isSaid, verdict.Notes.Any(n => n.StartsWith(said, StringComparison.Ordinal)));
    }

    [Fact]
    public void A_shared_expert_that_the_file_lacks_is_said()
    {
        var whole = Answered("hf.deepseek_v3", new JsonObject { ["k"] = 2, ["groups"] = 1, ["groups_kept"] = 1 });
        Assert.DoesNotContain(Judge(whole).Notes, n => n.Contains("shared expert", StringComparison.Ordinal));
        using var backend = new ScalarBackend<Float64>();
        var verdict = Judge(CaseAnswers.Fill(Without(whole, "claim.", "shared."), backend));
        Assert.Equal(Outcome.Agrees, verdict.Outcome);
        Assert.Contains(verdict.Notes, n => n.StartsWith("hf.deepseek_v3 has a shared expert and the file has none", StringComparison.Ordinal));
    }

    [Fact]
    public void An_expert_that_is_chosen_twice_departs_where_it_is_chosen_again()
    {
        var right = Answered("hf.mixtral");
        var expert = (double[])right.Get("claim.expert").Values.Clone();
        expert[2 * 3 + 1] = expert[2 * 3];
        var first = Judge(right.With(right.Get("claim.expert") with { Values = expert })).Culprit!.First!;
        Assert.Equal((expert[2 * 3], right.Get("claim.expert").Values[2 * 3 + 1]), (first.Claimed, first.Expected));
    }

    [Theory]
    [InlineData(0.02, "the loss balance is in the total with the coefficient 0.02 in place of 0.001")]
    [InlineData(0.0123456, null)]
    public void A_coefficient_that_somebody_writes_is_named(double coefficient, string? says)
    {
        using var backend = new ScalarBackend<Float64>();
        var asked = Without(Answered("hf.mixtral"), "cotangent.", "claim.");
        var claims = CaseAnswers.Fill(asked.Under(asked.Dialect with { BalanceCoefficient = coefficient }), backend).Under(asked.Dialect);
        var verdict = Judge(claims);
        Assert.Equal("loss.total", verdict.Culprit?.Stage);
        if (says is null) Assert.DoesNotContain(verdict.Causes, c => c.Sentence.Contains("coefficient", StringComparison.Ordinal));
        else Assert.Contains(verdict.Causes, c => c.Sentence.EndsWith(says, StringComparison.Ordinal));
    }

    [Fact]
    public void An_expert_that_is_none_is_refused()
    {
        var right = Answered("hf.mixtral");
        var expert = (double[])right.Get("claim.expert").Values.Clone();
        expert[3] = 99;
        var e = Assert.Throws<CaseException>(() => right.With(right.Get("claim.expert") with { Values = expert }).RequireClaims());
        Assert.EndsWith("claim.expert holds 99, outside −1 … 7; correct it", e.Message);
    }

    /// <summary>As libraries have them under one name; never certain, as two of so many give a number by chance more easily.</summary>
    [Theory]
    [InlineData("megatron.topk", BalanceLevel.Sequence, BalanceTokens.RealOverReal, "balance_tokens = real_over_real and balance_level = sequence")]
    [InlineData("hf.mixtral", BalanceLevel.Group, BalanceTokens.RealOverAll, "balance_tokens = real_over_all and balance_level = group")]
    public void Two_axes_of_a_balance_loss_are_named_together(string dialect, BalanceLevel level, BalanceTokens tokens, string says)
    {
        CaseTensor Of(string name, params long[] shape) =>
            new(name, "F32", shape, [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(i => Math.Round(32 * Math.Sin(1 + i * i)) / 32)]);
        CaseTensor padding = new("padding", "U8", [2, 12], [.. Enumerable.Range(0, 24).Select(t => t % 12 < (t < 12 ? 2 : 7) ? 1.0 : 0)]);
        CaseTensor[] inputs = [Of("x", 2, 12, M), Of("router.weight", Experts, M), padding];
        var asked = Case.Create(dialect, "train", inputs, new JsonObject { ["k"] = 2, ["balance_coefficient"] = 0.5 });
        using var backend = new ScalarBackend<Float64>();
        var claims = CaseAnswers.Fill(asked.Under(asked.Dialect with { BalanceLevel = level, BalanceTokens = tokens }), backend).Under(asked.Dialect);
        var verdict = Judge(claims);
        Assert.Equal("loss.balance", verdict.Culprit?.Stage);
        Assert.Contains(verdict.Causes, c => c.Sentence.EndsWith(says, StringComparison.Ordinal));
        Assert.False(verdict.IsCertain);
    }

    [Theory]
    [InlineData("lost", "identity experts is missing")]
    [InlineData("clamped", "expert 0")]
    public void Identity_experts_that_are_lost_or_read_as_another_are_named(string fault, string says)
    {
        var right = Answered("hf.longcat_flash", new JsonObject { ["k"] = 3, ["identity_experts"] = 2 }, identity: 2);
        CaseTensor expert = right.Get("claim.expert"), gate = right.Get("claim.gate"), x = right.Get("x");
        var y = (double[])right.Get("claim.y").Values.Clone();
        for (var i = 0; i < expert.Values.Length; i++)
            for (var c = 0; expert.Values[i] >= Experts && c < M; c++)
                y[i / 3 * M + c] += fault == "lost" ? -gate.Values[i] * x.Values[i / 3 * M + c] : gate.Values[i] * Expert0(right, i / 3)[c];
        Assert.Contains(says, Judge(WithY(right, y)).Causes[0].Sentence);
    }

    static double[] Expert0(Case c, int token) => OfExpert(c, 0, token);

    /// <summary>wo·(silu(wi_gate·x)∘(wi·x)) + bo, of one expert.</summary>
    static double[] OfExpert(Case c, int expert, int token)
    {
        double Dot(string name, int row) =>
            Enumerable.Range(0, M).Sum(j => c.Get(name).Values[(expert * F + row) * M + j] * c.Get("x").Values[token * M + j]);
        double Silu(double v) => v / (1 + Math.Exp(-v));
        double[] hidden = [.. Enumerable.Range(0, F).Select(f => Silu(Dot("experts.wi_gate", f)) * Dot("experts.wi", f))];
        double[] wo = c.Get("experts.wo").Values, bo = c.Get("experts.bo").Values;
        return [.. Enumerable.Range(0, M).Select(m => bo[expert * M + m] + hidden.Select((h, f) => h * wo[(expert * M + m) * F + f]).Sum())];
    }

    [Theory]
    [InlineData(2.0, "2 times")]
    [InlineData(-1.0, "the sign is turned")]
    [InlineData(0.0, "nothing arrives")]
    [InlineData(0.4, "scaling_factor is not applied")]
    public void One_factor_on_everything_comes_before_all_else(double factor, string says)
    {
        var right = Answered("hf.deepseek_v3", new JsonObject { ["k"] = 2, ["scaling_factor"] = 2.5, ["groups"] = 1, ["groups_kept"] = 1 });
        var verdict = Judge(WithY(right, Array.ConvertAll(right.Get("claim.y").Values, v => factor * v)));
        Assert.Contains(says, verdict.Causes[0].Sentence);
        var gradient = right.Get("claim.grad.experts.wi");
        verdict = Judge(right.With(gradient with { Values = Array.ConvertAll(gradient.Values, v => factor * v) }));
        Assert.Equal("grad.experts.wi", verdict.Culprit?.Stage);
        Assert.Contains(Multiples.Text(factor), verdict.Causes[0].Sentence);
    }

    [Fact]
    public void A_loss_that_is_not_attached_and_gates_that_are_detached_are_named()
    {
        var c = Answered("hf.mixtral", new JsonObject { ["k"] = 2, ["balance_coefficient"] = 0.5 }).Without("shared.wi", "shared.wi_gate", "shared.wo");
        using var definition = new ScalarBackend<Float64>();
        var right = CaseAnswers.Fill(c, definition);
        Assert.Empty(Judge(right).Causes);
        Case Gradients(Case from) => right.With(from.Tensors.Where(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal)));
        var unattached = CaseAnswers.Fill(right.With(new CaseTensor("cotangent.losses", "F32", [1], [0])), definition);
        Assert.Contains("not in the gradient", Judge(Gradients(unattached)).Causes[0].Sentence);
        var fourfold = CaseAnswers.Fill(right.With(new CaseTensor("cotangent.losses", "F32", [1], [4])), definition);
        Assert.Contains("counts 4 times", Judge(Gradients(fourfold)).Causes[0].Sentence);
    }

    /// <summary>A call without a shared expert and without losses.</summary>
    static Case Plain(int k = 2)
    {
        var c = Answered("hf.qwen3_moe", new JsonObject { ["k"] = k, ["normalize"] = "sum", ["balance_coefficient"] = 0 }).Without("shared.wi",
            "shared.wi_gate", "shared.wo");
        using var definition = new ScalarBackend<Float64>();
        return CaseAnswers.Fill(c, definition);
    }

    [Fact]
    public void Outputs_that_stand_choice_by_choice_and_are_read_token_by_token_are_named()
    {
        var right = Plain();
        CaseTensor expert = right.Get("claim.expert"), gate = right.Get("claim.gate");
        var y = new double[Tokens * M];
        for (var i = 0; i < 2 * Tokens; i++)
        {
            var source = i % Tokens * 2 + i / Tokens;       // choice i / T of token i mod T
            var output = OfExpert(right, (int)expert.Values[source], source / 2);
            for (var m = 0; m < M; m++) y[i / 2 * M + m] += gate.Values[i] * output[m];
        }
        var verdict = Judge(WithY(right, y));
        Assert.Contains("choice by choice", verdict.Causes[0].Sentence);
        Assert.True(verdict.IsCertain);
    }

    [Fact]
    public void A_gradient_that_lacks_the_experts_part_is_named()
    {
        var right = Plain();
        using var definition = new ScalarBackend<Float64>();
        // Where logits are given nothing goes back through the router: that is the experts' part.
        var direct = CaseAnswers.Fill(right.Without("router.weight"), definition).Get("claim.grad.x");
        var whole = right.Get("claim.grad.x");
        var verdict = Judge(right.With(whole with { Values = [.. whole.Values.Zip(direct.Values, (w, d) => (double)(float)(w - d))] }));
        Assert.Equal("grad.x", verdict.Culprit?.Stage);
        Assert.Contains("the experts' part is missing", verdict.Causes[0].Sentence);
    }

    [Fact]
    public void Logits_that_are_rounded_from_a_token_on_are_named_by_these_tokens()
    {
        var right = Plain();
        var weights = right.Get("router.weight");
        // Numbers with more bits than bfloat16 has.
        var fine = right.Without([.. right.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.", StringComparison.Ordinal))])
            .With(weights with { Values = [.. weights.Values.Select((v, i) => (double)(float)(v * (1 + i / 997.0)))] });
        using var definition = new ScalarBackend<Float64>();
        var answered = CaseAnswers.Fill(fine, definition).Get("claim.logits");
        var rounded = answered with { Values = [.. answered.Values.Select((v, i) => i / Experts < 9 ? v : Rounding.To(NumberFormat.BFloat16, v))] };
        Assert.Contains("tokens 9 to 23 were rounded to bfloat16", Judge(fine.With(rounded)).Causes[0].Sentence);
    }

    [Fact]
    public void A_tie_rule_that_was_put_into_the_score_is_named()
    {
        var right = Plain();
        var scores = right.Get("claim.scores").Values;
        IEnumerable<double> Best(int t) =>
            Enumerable.Range(0, Experts).OrderByDescending(e => scores[t * Experts + e] - 0.01 * e).Take(2).Select(e => (double)e);
        string[] kept = ["claim.logits", "claim.scores"];
        var asked = right.Without([.. right.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.", StringComparison.Ordinal) && !kept.Contains(n))]);
        var verdict = Judge(asked.With(right.Get("claim.expert") with { Values = [.. Enumerable.Range(0, Tokens).SelectMany(Best)] }));
        Assert.Contains("a higher score lost to a lower one", verdict.Causes[0].Sentence);
    }

    [Fact]
    public void A_wider_bound_explains_nothing()
    {
        var right = Plain();
        var y = (double[])right.Get("claim.y").Values.Clone();
        y[5] *= 1.0001;
        var verdict = Judge(WithY(right, y));
        Assert.Equal("y", verdict.Culprit?.Stage);
        Assert.Empty(verdict.Causes);
        Assert.Contains(verdict.Notes, n => n.Contains("float32 does not lose as much", StringComparison.Ordinal));
    }

    [Fact]
    public void A_router_that_a_single_divided_gate_teaches_nothing_gets_a_note()
    {
        Assert.Contains(Judge(Plain(k: 1)).Notes, n => n.Contains("the router gets its gradient from the losses alone", StringComparison.Ordinal));
        Assert.Empty(Judge(Plain()).Notes);
    }
}
