using System.Text.Json.Nodes;
using SparseExperts.Oracle;
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

    static Case WithY(Case c, double[] y) => c.Without(c.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.grad.", StringComparison.Ordinal)))
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

    /// <summary>wo₀·(silu(wi_gate₀·x)∘(wi₀·x)) + bo₀.</summary>
    static double[] Expert0(Case c, int token)
    {
        double Dot(string name, int row) => Enumerable.Range(0, M).Sum(j => c.Get(name).Values[row * M + j] * c.Get("x").Values[token * M + j]);
        double Silu(double v) => v / (1 + Math.Exp(-v));
        double[] hidden = [.. Enumerable.Range(0, F).Select(f => Silu(Dot("experts.wi_gate", f)) * Dot("experts.wi", f))];
        double[] wo = c.Get("experts.wo").Values, bo = c.Get("experts.bo").Values;
        return [.. Enumerable.Range(0, M).Select(m => bo[m] + hidden.Select((h, f) => h * wo[m * F + f]).Sum())];
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
}
