using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>One recorded call in every layout that experts are held in: the verdict is the same, and a fault is found in each.</summary>
public class CaseLayoutTests
{
    const int F = 3, M = 2;

    /// <summary>Two experts of width 3 on tokens of width 2, with the answers and gradients of the definition.</summary>
    static Case Answered()
    {
        double Number(int i) => (i * 7 % 16 - 8) / 8.0;
        CaseTensor Of(string name, params long[] shape) =>
            new(name, "F32", shape, [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(i => Number(i + name.Length))]);
        CaseTensor[] inputs =
        [
            Of("x", 1, 4, M), Of("router.weight", 2, M), Of("experts.wi_gate", 2, F, M), Of("experts.wi", 2, F, M), Of("experts.wo", 2, M, F),
            Of("experts.bi_gate", 2, F), Of("experts.bi", 2, F), Of("cotangent.y", 1, 4, M),
        ];
        using var backend = new ScalarBackend<Float64>();
        return CaseAnswers.Fill(Case.Create("hf.qwen3_moe", "eval", inputs, new JsonObject { ["k"] = 1 }), backend);
    }

    static Verdict Check(IEnumerable<CaseTensor> tensors, string parameters)
    {
        var json = JsonNode.Parse(parameters)!.AsObject();
        json["k"] = 1;
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(Case.Create("hf.qwen3_moe", "eval", tensors, json), backend);
    }

    /// <summary>The tensors with gate and up in one, row by row as <paramref name="place"/> puts them.</summary>
    static IEnumerable<CaseTensor> Fused(Case c, Func<int, bool, int> place)
    {
        foreach (var prefix in (string[])["", "claim.grad."])
            foreach (var (gate, up, fused, width) in ((string, string, string, int)[])[("wi_gate", "wi", "gate_up", M), ("bi_gate", "bi", "gate_up_bias", 1)])
            {
                CaseTensor g = c.Get($"{prefix}experts.{gate}"), u = c.Get($"{prefix}experts.{up}");
                var values = new double[2 * g.Values.Length];
                for (var i = 0; i < g.Values.Length; i++)
                {
                    int e = i / (F * width), r = i / width % F, column = i % width;
                    values[(e * 2 * F + place(r, false)) * width + column] = g.Values[i];
                    values[(e * 2 * F + place(r, true)) * width + column] = u.Values[i];
                }
                yield return new($"{prefix}experts.{fused}", "F32", width == 1 ? [2, 2 * F] : [2, 2 * F, M], values);
            }
        foreach (var tensor in c.Tensors.Where(t => !t.Name.Contains("experts.wi") && !t.Name.Contains("experts.bi"))) yield return tensor;
    }

    static CaseTensor Turned(CaseTensor t)
    {
        var (rows, columns) = (t.Size(1), t.Size(2));
        int From(int i) => i / (rows * columns) * rows * columns + i % rows * columns + i / rows % columns;
        return t with { Shape = [t.Size(0), columns, rows], Values = [.. Enumerable.Range(0, t.Values.Length).Select(i => t.Values[From(i)])] };
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Both_first_projections_in_one_tensor_agree_in_halves_and_in_alternate_rows(bool alternate)
    {
        int Place(int row, bool isUp) => alternate ? 2 * row + (isUp ? 1 : 0) : row + (isUp ? F : 0);
        var verdict = Check(Fused(Answered(), Place), alternate ? """{"gate_up_layout": "alternate"}""" : """{"gate_up_layout": "halves"}""");
        Assert.Equal(Outcome.Agrees, verdict.Outcome);
        Assert.Contains(verdict.Stages, s => s.Stage == "grad.experts.gate_up");
        Assert.Contains(verdict.Stages, s => s.Stage == "grad.experts.gate_up_bias");
        var wrong = Check(Fused(Answered(), Place), alternate ? "{}" : """{"gate_up_layout": "alternate"}""");
        Assert.Equal("y", wrong.Culprit?.Stage);
    }

    [Fact]
    public void Transposed_matrices_agree_with_their_gradients()
    {
        string[] matrices = ["experts.wi", "experts.wi_gate", "experts.wo"];
        bool Is(CaseTensor t) => matrices.Any(name => t.Name.EndsWith(name, StringComparison.Ordinal));
        var tensors = Answered().Tensors.Select(t => Is(t) ? Turned(t) : t).ToArray();
        Assert.Equal(Outcome.Agrees, Check(tensors, """{"experts_layout": "in_out"}""").Outcome);
        Assert.Throws<CaseException>(() => Check(tensors, "{}"));
    }

    [Theory]
    [InlineData(
        "model.layers.0.mlp.experts.{0}.gate_proj.weight",
        "model.layers.0.mlp.experts.{0}.up_proj.weight",
        "model.layers.0.mlp.experts.{0}.down_proj.weight")]
    [InlineData("block_sparse_moe.experts.{0}.w1.weight", "block_sparse_moe.experts.{0}.w3.weight", "block_sparse_moe.experts.{0}.w2.weight")]
    public void Experts_under_the_names_of_checkpoints_are_stacked(string gate, string up, string down)
    {
        var names = new Dictionary<string, string> { ["experts.wi_gate"] = gate, ["experts.wi"] = up, ["experts.wo"] = down };
        var c = Answered().Without("experts.bi", "experts.bi_gate", "claim.grad.experts.bi", "claim.grad.experts.bi_gate");
        using var definition = new ScalarBackend<Float64>();
        c = CaseAnswers.Fill(c, definition);
        IEnumerable<CaseTensor> Apart(CaseTensor t)
        {
            var grad = t.Name.StartsWith("claim.grad.", StringComparison.Ordinal) ? "claim.grad." : "";
            if (!names.TryGetValue(t.Name[grad.Length..], out var name)) return [t];
            var size = t.Values.Length / t.Size(0);
            string Of(int e) => grad + string.Format(null, name, e);
            return Enumerable.Range(0, t.Size(0)).Select(e =>
                new CaseTensor(Of(e), "F32", [t.Shape[1], t.Shape[2]], t.Values[(e * size)..((e + 1) * size)]));
        }
        CaseTensor[] tensors = [.. c.Tensors.SelectMany(Apart)];
        Assert.Equal(Outcome.Agrees, Check(tensors, "{}").Outcome);
        var missing = Assert.Throws<CaseException>(() => Check(tensors.Where(t => t.Name != string.Format(null, up, 0)), "{}"));
        Assert.Contains("expert 0 is missing", missing.Message);
    }

    [Theory]
    [InlineData("""{"gate_up_layout": "thirds"}""", "choose halves or alternate")]
    [InlineData("""{"gate_up_layout": "alternate"}""", "without experts.gate_up")]
    [InlineData("""{"experts_layout": 3}""", "choose out_in or in_out")]
    [InlineData("""{"claim_digits": 4}""", "write an object")]
    [InlineData("""{"claim_digits": {"claim.gate": 0}}""", "from 1 to 17")]
    [InlineData("""{"claim_digits": {"x": 3}}""", "which is no claim")]
    [InlineData("""{"claim_digits": {"claim.slot": 3}}""", "does not hold")]
    public void A_layout_that_cannot_be_is_refused_in_one_line(string parameters, string says)
    {
        var refused = Assert.Throws<CaseException>(() => Check(Answered().Tensors, parameters));
        Assert.Contains(says, refused.Message);
    }

    [Fact]
    public void Claims_that_were_printed_may_be_off_by_half_their_last_digit_and_no_more()
    {
        var c = Answered();
        var culture = System.Globalization.CultureInfo.InvariantCulture;
        double Printed(double v) => double.Parse(v.ToString("G3", culture), culture);
        static bool IsPrinted(CaseTensor t) => t.Name is "claim.scores" or "claim.gate" or "claim.combine" or "claim.y";
        CaseTensor[] tensors = [.. c.Tensors.Select(t => IsPrinted(t) ? t with { Values = Array.ConvertAll(t.Values, Printed) } : t)];
        const string Digits = """{"claim_digits": {"claim.scores": 3, "claim.gate": 3, "claim.combine": 3, "claim.y": 3}}""";
        Assert.Equal(Outcome.Differs, Check(tensors, "{}").Outcome);
        var verdict = Check(tensors, Digits);
        Assert.NotEqual(Outcome.Differs, verdict.Outcome);
        Assert.Contains(("claim.gate", 3), verdict.Printed);
        CaseTensor[] wrong = [.. tensors.Select(t => t.Name == "claim.gate" ? t with { Values = [.. t.Values.Select((v, i) => i == 0 ? v * 1.02 : v)] } : t)];
        Assert.Equal("gate", Check(wrong, Digits).Culprit?.Stage);
    }
}
