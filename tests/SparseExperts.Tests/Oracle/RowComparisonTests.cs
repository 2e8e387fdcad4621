using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using SparseExperts.Tests.EndToEnd;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Calls that share tokens: each shared row is the same, or the stage that departs is named with its cause.</summary>
public sealed class RowComparisonTests
{
    const int Width = 8, Experts = 4, Hidden = 4;

    static string File(string pair, string file) => Path.Combine(AppContext.BaseDirectory, "Oracle", "rows", pair, $"{file}.safetensors");

    static double[] Normal(int count, ulong seed) => [.. Enumerable.Range(0, count).Select(i => (double)(float)Philox.Normal(new(seed, 0), (ulong)i))];

    static CaseTensor[] Weights { get; } =
    [
        new("router.weight", "F32", [Experts, Width], Normal(Experts * Width, 2)),
        new("experts.wi", "F32", [Experts, Hidden, Width], Normal(Experts * Hidden * Width, 3)),
        new("experts.wi_gate", "F32", [Experts, Hidden, Width], Normal(Experts * Hidden * Width, 4)),
        new("experts.wo", "F32", [Experts, Width, Hidden], Normal(Experts * Hidden * Width, 5)),
    ];

    /// <summary>Right answers to some tokens of a text, with their places in it as ids.</summary>
    static Case Call(int[] tokens, string dialect = "hf.mixtral", bool hasIds = true, CaseTensor? other = null)
    {
        double[] x = [.. tokens.SelectMany(t => Normal(Width, 100 + (ulong)t))];
        CaseTensor[] ids = hasIds ? [Ids([.. tokens.Select(t => (double)t)])] : [];
        CaseTensor[] given = [new("x", "F32", [1, tokens.Length, Width], x), .. Weights, .. ids, .. other is null ? Array.Empty<CaseTensor>() : [other]];
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(Case.Create(dialect, "eval", given), backend);
    }

    static CaseTensor Ids(double[] values) => new("x.row", "I64", [1, values.Length], values);

    static RowComparison Compare(Case a, Case b) => RowComparison.Of("layer", a, b, () => new ScalarBackend<Tracked>());

    static Case Changed(Case call, string name, Action<double[]> change)
    {
        var claim = call.Get(name);
        double[] values = [.. claim.Values];
        change(values);
        return call.With(claim with { Values = values });
    }

    static int Rows(RowComparison result, string stage, RowCause cause) => result.Stages.Single(s => s.Stage == stage).Causes[cause];

    /// <summary>The files are written by <c>bench -- rows</c>: an engine whose kernels look at the size of the batch.</summary>
    [Theory]
    [InlineData("equal", 0, 0, null, "6 rows paired by x (0 of A and 8 of B stand alone): equal bit for bit")]
    [InlineData("split", 1, 0, "logits", "6 of 6 rows, by up to 16 units in the last place of float32; rounding alone explains it")]
    [InlineData("bfloat16", 1, 0, "y", "5 of 6 rows, by up to 11 units in the last place of bfloat16; rounding alone explains it")]
    [InlineData("quantized", 1, 1, "y", "rounding does not explain y (6 rows)")]
    [InlineData("capacity", 1, 1, "slot", "both calls compute what they should, but from other tokens beside it (slot, 3 rows)")]
    public void An_engine_that_looks_at_the_size_of_the_batch_is_found_out(string pair, int code, int allowing, string? first, string says)
    {
        var json = MoeCommand.Run(["compare", File(pair, "a"), File(pair, "b"), "--rows", "--json"]);
        var read = JsonNode.Parse(json.Output)!;
        Assert.Equal((code, first), (json.ExitCode, (string?)read["first"]));
        Assert.Contains(says, (string)read["say"]!);
        var text = MoeCommand.Run(["compare", File(pair, "a"), File(pair, "b"), "--rows", "--allow-rounding"]);
        Assert.Equal(allowing, text.ExitCode);
        Assert.Contains(says, text.Output);
        Assert.Equal(pair == "capacity", text.Output.Contains("mesh.switch has a capacity: the batch may matter", StringComparison.Ordinal));
    }

    [Fact]
    public void The_same_tokens_in_another_order_are_the_same_rows()
    {
        foreach (var hasIds in (bool[])[true, false])
        {
            var result = Compare(Call([1, 2, 3, 4], hasIds: hasIds), Call([9, 4, 2, 7, 1, 3], hasIds: hasIds));
            Assert.Equal((hasIds ? "x.row" : "x", 4, 0, 2), (result.PairedBy, result.Pairs, result.AloneFirst, result.AloneSecond));
            Assert.True(result.IsEqual, result.Say());
        }
    }

    [Fact]
    public void A_token_that_comes_again_is_paired_in_order()
    {
        Case a = Call([5, 1, 5, 2, 5]), b = Call([5, 5, 3]);
        Assert.Equal((2, 3, 1), (Compare(a, b).Pairs, Compare(a, b).AloneFirst, Compare(a, b).AloneSecond));
        // The third token of A is the second of B: that row alone departs.
        var result = Compare(Changed(a, "claim.y", y => y[2 * Width] += 1), b);
        Assert.Equal((1, new RowPlace(0, 2), new RowPlace(0, 1)), (result.Apart, result.First!.First!.First, result.First.First.Second));
    }

    [Fact]
    public void Padding_is_no_row()
    {
        var call = Call([1, 2, 3]);
        var padded = call.With(new CaseTensor("padding", "U8", [1, 3], [1, 0, 1]));
        Assert.Equal((2, 1, 0), (Compare(call, padded).Pairs, Compare(call, padded).AloneFirst, Compare(call, padded).AloneSecond));
    }

    [Fact]
    public void Other_numbers_of_one_id_are_other_inputs()
    {
        var a = Call([1, 2, 3]);
        var b = Call([1, 2, 4]).With(Ids([1, 2, 3]));
        var result = Compare(a, b);
        Assert.Equal(("x", 1, 1), (result.First!.Stage, result.Apart, Rows(result, "y", RowCause.Inputs)));
        Assert.False(result.IsRounding);
    }

    [Fact]
    public void A_number_that_is_off_in_one_call_is_no_rounding()
    {
        Case a = Call([1, 2, 3]), b = Call([3, 8, 1]);
        var result = Compare(a, Changed(b, "claim.y", y => y[0] *= 1.001));
        Assert.Equal(("y", 1, 2), (result.First!.Stage, Rows(result, "y", RowCause.Unexplained), result.First.First!.Engine));
        result = Compare(Changed(a, "claim.gate", gates => (gates[0], gates[1]) = (gates[1], gates[0])), b);
        Assert.Equal(("gate", 1, 1), (result.First!.Stage, Rows(result, "gate", RowCause.Unexplained), result.First.First!.Engine));
    }

    /// <summary>What follows from numbers that rounding took apart is rounding too, however far it lies off.</summary>
    [Fact]
    public void Experts_that_change_with_a_last_place_of_the_logits_are_rounding()
    {
        var bias = new CaseTensor("router.bias", "F32", [Experts], [10, 0, 20, 10]);
        Case Of(double last)
        {
            double[] rows = [.. Normal(Width, 7), .. Normal(Width, 8), .. Normal(Width, 9), .. Normal(Width, 7)];
            rows[^1] += last;
            return Call([1, 2, 3], other: bias).With(Weights[0] with { Values = rows });
        }
        // The first and the last expert have one weight: their logits tie, and a unit more decides.
        using var backend = new ScalarBackend<Float32>();
        var a = CaseAnswers.Fill(Of(0), backend);
        var b = Changed(a, "claim.logits", logits => logits[3] = MathF.BitIncrement((float)logits[3]));
        b = CaseAnswers.Fill(b.Without("router.weight"), backend).With(a.Get("router.weight"));
        Assert.NotEqual(a.Get("claim.expert").Values[1], b.Get("claim.expert").Values[1]);
        var result = Compare(a, b);
        Assert.Equal(("logits", 1L, 1), (result.First!.Stage, result.First.Units, Rows(result, "expert", RowCause.Rounding)));
        Assert.True(result.Stages.Single(s => s.Stage == "y").Units > 1000 && result.IsRounding, result.Say());
    }

    [Fact]
    public void Without_what_a_number_is_computed_from_its_cause_is_unknown()
    {
        string[] left = ["experts.wi", "experts.wi_gate", "experts.wo"];
        Case a = Call([1, 2, 3]).Without(left), b = Changed(Call([3, 1]).Without(left), "claim.y", y => y[0] = MathF.BitIncrement((float)y[0]));
        var result = Compare(a, b);
        Assert.Equal(("y", 1L, 1), (result.First!.Stage, result.First.Units, Rows(result, "y", RowCause.Unknown)));
        Assert.False(result.IsRounding);
        Assert.Contains("do not hold what y is computed from", result.Say());
    }

    [Fact]
    public void A_zero_of_the_other_sign_has_other_bits()
    {
        var zero = Changed(Call([1, 2]), "claim.y", y => Array.Fill(y, 0));
        var result = Compare(zero, Changed(zero, "claim.y", y => y[3] = -0.0));
        Assert.Equal((1, 0L), (result.Apart, result.First!.Units));
        Assert.Contains("by the sign of zeros", result.Say());
    }

    [Fact]
    public void Experts_in_another_order_are_equal_where_the_order_is_open()
    {
        Case Turned(Case call) => Changed(Changed(call, "claim.expert", e => (e[0], e[1]) = (e[1], e[0])), "claim.gate", g => (g[0], g[1]) = (g[1], g[0]));
        var open = Call([1, 2], "hf.deepseek_v3", other: new("router.correction_bias", "F32", [Experts], new double[Experts]));
        Assert.True(open.Dialect.OpenOrder);
        var result = Compare(open, Turned(open));
        Assert.Equal((true, 1), (result.IsEqual, result.Reordered));
        Assert.Equal("expert", Compare(Call([1, 2]), Turned(Call([1, 2]))).First!.Stage);
    }

    [Fact]
    public void What_cannot_be_compared_by_row_is_refused_in_one_line()
    {
        void Refused(Case a, Case b, string says) => Assert.Contains(says, Assert.Throws<CaseException>(() => Compare(a, b)).Message);
        var call = Call([1, 2]);
        Refused(call, Call([3, 4]), "no row of it has the id of a row of case; give one token one id in both");
        Refused(Call([1, 2], hasIds: false), Call([3, 4]), "no row of it has the bits of a row of case");
        Refused(call, call.With(Weights[0] with { Values = Normal(Experts * Width, 99) }), "router.weight is another one than in case");
        Refused(call, call.With(Ids([1, 1e18])), "x.row holds 1E+18; number below 2^53");
        Refused(call, call.With(Ids([1, 2]) with { DType = "F32" }), "x.row is F32; write whole numbers");
        var claims = call.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.", StringComparison.Ordinal));
        Refused(call, call.Without([.. claims]), "claims nothing by row");
    }

    [Fact]
    public void Options_that_would_change_nothing_are_refused()
    {
        string[] Files() => ["compare", File("equal", "a"), File("equal", "b")];
        (string[], string)[] all =
        [
            (["--allow-rounding"], "--allow-rounding goes with --rows"),
            (["--format", "f32"], "--format goes with --rows"),
            (["--rows", "--strict"], "--strict: with --rows every difference counts already"),
        ];
        foreach (var (options, says) in all)
        {
            var result = MoeCommand.Run([.. Files(), .. options]);
            Assert.Equal(2, result.ExitCode);
            Assert.Contains(says, result.Error);
        }
    }

    /// <summary>Two folders of calls; those of one name are one layer.</summary>
    [Fact]
    public void Folders_are_compared_call_by_call()
    {
        using var workspace = new Workspace();
        foreach (var (pair, name) in ((string, string)[])[("equal", "step1/layer0"), ("split", "step2/layer0"), ("bfloat16", "step1/layer1")])
            foreach (var file in (string[])["a", "b"])
            {
                Directory.CreateDirectory(Path.GetDirectoryName(workspace.At($"{file}/{name}"))!);
                System.IO.File.Copy(File(pair, file), workspace.At($"{file}/{name}.safetensors"));
            }
        var result = MoeCommand.Run(["compare", workspace.At("a"), workspace.At("b"), "--rows", "--json"]);
        var rows = result.Output.Trim().Split('\n').Select(l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal(1, result.ExitCode);
        Assert.Equal([("layer0", 12, 6, "logits"), ("layer1", 6, 5, "y")],
            rows.Select(r => ((string)r["layer"]!, (int)r["rows"]!, (int)r["rows_apart"]!, (string)r["first"]!)));
        Assert.Equal(0, MoeCommand.Run(["compare", workspace.At("a"), workspace.At("b"), "--rows", "--allow-rounding"]).ExitCode);
    }
}
