using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>One expert whose matrix was stored or loaded otherwise than the others' is named with the matrix, whether choices are claimed or y alone.</summary>
public sealed class ExpertMatrixTests
{
    const int Tokens = 48, Width = 6, Experts = 8;

    static readonly string[] Claims = ["claim.logits", "claim.scores", "claim.expert", "claim.gate", "claim.y"];

    static CaseTensor Drawn(string name, params long[] shape)
    {
        var stream = new RandomStream(11, (ulong)name.Sum(c => c * 5));
        var count = (int)shape.Aggregate((a, b) => a * b);
        return new(name, "F32", shape, [.. Enumerable.Range(0, count).Select(i => Math.Round(64 * Philox.Normal(stream, (ulong)i)) / 64)]);
    }

    static readonly Case Inputs = Case.Create("hf.mixtral", "eval",
    [
        Drawn("x", 1, Tokens, Width), Drawn("router.weight", Experts, Width), Drawn("experts.wi_gate", Experts, Width, Width),
        Drawn("experts.wi", Experts, Width, Width), Drawn("experts.wo", Experts, Width, Width),
    ], new JsonObject { ["k"] = 2 });

    static Case Answered(Case asked)
    {
        using var backend = new ScalarBackend<Float64>();
        var all = CaseAnswers.Fill(asked, backend);
        return asked.With(Claims.Select(all.Get));
    }

    /// <summary>The right call with the y of one that has other matrices.</summary>
    static Case With(bool onlyY, params IEnumerable<CaseTensor> matrices)
    {
        var right = onlyY ? Inputs : Answered(Inputs);
        var y = Answered(Inputs.With(matrices)).Get("claim.y");
        return right.With(y with { Values = Array.ConvertAll(y.Values, v => (double)(float)v) });
    }

    static CaseTensor Transposed(string name, params int[] experts)
    {
        var t = Inputs.Get(name);
        int From(int i) => i / 36 * 36 + i % 6 * 6 + i / 6 % 6;
        return t with { Values = [.. t.Values.Select((v, i) => experts.Contains(i / 36) ? t.Values[From(i)] : v)] };
    }

    static Verdict Judge(Case c)
    {
        using var backend = new ScalarBackend<Tracked>();
        return Causes.On(c, CaseCheck.Run(c, backend), () => new ScalarBackend<Tracked>());
    }

    [Theory]
    [InlineData("experts.wi", "in expert 5 alone, the first matrix of the experts (wi, up_proj) was read transposed", 5)]
    [InlineData("experts.wi_gate", "in expert 5 alone, the gate projection of the experts (wi_gate, gate_proj) was read transposed", 5)]
    [InlineData("experts.wo", "in expert 5 alone, the second matrix of the experts (wo, down_proj) was read transposed", 5)]
    [InlineData("experts.wo", "in experts 2 and 5 alone, the second matrix of the experts (wo, down_proj) was read transposed", 2, 5)]
    public void A_matrix_of_some_experts_that_is_transposed_is_named(string matrix, string sentence, params int[] experts)
    {
        foreach (var onlyY in (bool[])[false, true])
        {
            var verdict = Judge(With(onlyY, Transposed(matrix, experts)));
            Assert.Equal("y", verdict.Culprit?.Stage);
            Assert.True(verdict.Causes.Count > 0, verdict.Say);
            Assert.Equal((matrix, sentence), (verdict.Causes[0].What, verdict.Causes[0].Sentence));
            Assert.True(verdict.IsCertain);
        }
    }

    [Fact]
    public void An_expert_whose_gate_and_up_are_exchanged_is_named()
    {
        CaseTensor gate = Inputs.Get("experts.wi_gate"), up = Inputs.Get("experts.wi");
        CaseTensor Mixed(CaseTensor of, CaseTensor other) => of with { Values = [.. of.Values.Select((v, i) => i / 36 == 3 ? other.Values[i] : v)] };
        var verdict = Judge(With(false, Mixed(gate, up), Mixed(up, gate)));
        Assert.StartsWith("in expert 3 alone, gate and up projection are exchanged", Assert.Single(verdict.Causes).Sentence);
    }

    [Fact]
    public void A_right_call_is_accused_of_nothing() => Assert.Empty(Judge(With(false)).Causes);
}
