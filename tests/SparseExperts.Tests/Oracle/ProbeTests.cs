using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>The reference's own answers to the probes of every dialect pass the oracle, before and after a trip through a file.</summary>
public sealed class ProbeTests
{
    public static TheoryData<string> Names() => [.. BuiltIn.All.Where(Probes.Has).Select(d => d.Name)];

    static Verdict Check(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend);
    }

    static Case Answered(Case asked)
    {
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(asked, backend);
    }

    [Theory, MemberData(nameof(Names))]
    public void The_references_own_answers_agree(string dialect)
    {
        foreach (var probe in Probes.Of(BuiltIn.Named(dialect)))
        {
            var answered = Answered(probe.Case);
            answered.RequireClaims();
            var verdict = Check(answered);
            Assert.True(verdict.Culprit is null, $"{probe.Name}: {verdict.Culprit}");
        }
    }

    /// <summary>Neither are they answered as if they were routed, nor checked.</summary>
    [Fact]
    public void Layers_without_stages_in_the_format_are_refused()
    {
        CaseTensor[] inputs = [new("x", "F32", [1, 4, 4], new double[16]), new("router.weight", "F32", [4, 4], new double[16])];
        var asked = Case.Create("mesh.two_level", "eval", inputs, []);
        foreach (var use in (Func<object>[])[() => Answered(asked), () => Check(asked)])
            Assert.Contains("whose stages have no tensors in this format", Assert.Throws<CaseException>(use).Message);
    }

    public static TheoryData<string, string> ReadByTwoLevels => new()
    {
        { "router_dtype", "bf16" }, { "router_policy", "input_jitter" }, { "router_policy", "input_dropout" }, { "jitter_reach", "router_and_experts" },
    };

    /// <summary>What the layer makes of its router's input is in its answers, and answers without it are not its own.</summary>
    [Theory, MemberData(nameof(ReadByTwoLevels))]
    public void What_a_router_of_two_levels_does_to_its_input_is_answered_and_checked(string axis, string value)
    {
        var before = BuiltIn.Named("t2t.hierarchical") with { Evidence = Evidence.Own, Jitter = 0.3, InputDropout = 0.3 };
        if (axis == "jitter_reach") before = before with { RouterPolicy = RouterPolicy.InputJitter };
        var asked = Probes.Of(DialectAxis.Find(axis)!.With(before, value, "test"), "train")[0].Case;
        var stage = axis == "jitter_reach" ? "y" : "combine";
        var (own, ignoring) = (Answered(asked), Answered(asked.Under(before)));
        Assert.NotEqual(own.Get($"claim.{stage}").Values, ignoring.Get($"claim.{stage}").Values);
        Assert.Null(Check(own).Culprit);
        var culprit = axis == "router_dtype" ? null : stage;        // without its rounding an answer lies within the bounds
        Assert.Equal(culprit, Check(ignoring.Under(asked.Dialect)).Culprit?.Stage);
    }

    /// <summary>Experts that read something else than the tokens.</summary>
    [Fact]
    public void Experts_behind_two_levels_of_routers_read_their_own_input()
    {
        var asked = Probes.Of(BuiltIn.Named("t2t.hierarchical"), "train")[0].Case;
        var own = asked.Get("x") with { Name = "experts.x", Values = [.. asked.Get("x").Values.Select(v => v / 2 + 1)] };
        Assert.Null(Check(Answered(asked.With([own]))).Culprit);
        Assert.Equal("y", Check(Answered(asked).With([own])).Culprit?.Stage);
    }

    [Theory]
    [InlineData("experts.x")]
    [InlineData("shared.gate")]
    public void A_mixture_of_slots_refuses_what_it_does_not_read(string name)
    {
        var asked = Probes.Of(BuiltIn.Named("vmoe.soft"), "eval")[0].Case;
        var x = asked.Get("x");
        var given = name == "experts.x" ? x with { Name = name } : new(name, "F32", [x.Size(-1)], new double[x.Size(-1)]);
        Assert.Contains($"vmoe.soft does not read {name}; remove it, or name a dialect with another selection (as ",
            Assert.Throws<CaseException>(() => Case.Create("vmoe.soft", "eval", [.. asked.Tensors, given], [])).Message);
    }

    /// <summary>Every tensor, its format and the metadata come back from both kinds of file.</summary>
    [Theory]
    [InlineData("safetensors", "hf.mixtral")]
    [InlineData("npz", "hf.mixtral")]
    [InlineData("safetensors", "mesh.switch")]
    [InlineData("npz", "mesh.switch")]
    public void What_is_saved_is_read_back(string extension, string dialect)
    {
        var folder = Directory.CreateTempSubdirectory("case-");
        try
        {
            var asked = Answered(Probes.Of(BuiltIn.Named(dialect)).First(p => p.Name == "padding-train").Case);
            // One tensor of every format that the writers know; numpy has no bfloat16.
            string[] formats = ["F64", "F16", "I64", "I16", "I8", "U64", "U32", "U16", "U8", .. extension == "npz" ? [] : new[] { "BF16" }];
            asked = asked.With(formats.Select(f => new CaseTensor("claim.loss." + f, f, [], [f[0] is 'F' or 'B' ? -1.5 : 3])));
            var path = Path.Combine(folder.FullName, "case." + extension);
            asked.Save(path);
            var read = Case.Load(path);
            static string Head(Case c) => string.Join('\n', c.Mode, c.DialectText, c.Parameters.ToJsonString(), c.Producer, c.Note);
            Assert.Equal(Head(asked), Head(read));
            Assert.Equal(asked.Tensors.Select(t => t.Name).Order(), read.Tensors.Select(t => t.Name).Order());
            foreach (var tensor in asked.Tensors)
            {
                var back = read.Get(tensor.Name);
                Assert.Equal(tensor.DType, back.DType);
                Assert.Equal(tensor.Shape, back.Shape);
                Assert.Equal(tensor.Values, back.Values);
            }
            var bytes = File.ReadAllBytes(path);
            read.Save(path);
            if (extension == "safetensors") Assert.Equal(bytes, File.ReadAllBytes(path));
        }
        finally
        {
            folder.Delete(true);
        }
    }

    /// <summary>A file that was held to a changed dialect says so when it is saved.</summary>
    [Fact]
    public void A_changed_dialect_travels_with_the_file()
    {
        var path = Path.GetTempFileName();
        try
        {
            var asked = Answered(Probes.Of(BuiltIn.Named("hf.mixtral"), "eval")[0].Case);
            var changed = DialectAxis.Find("normalize")!.With(asked.Dialect, "none", "test");
            asked.Under(changed).Save(path);
            Assert.Equal("gate", Check(Case.Load(path)).Culprit?.Stage);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>A sampled second expert is always used: no margin excuses one that is missing.</summary>
    [Theory]
    [InlineData("fairseq.top2")]
    [InlineData("deepspeed.top2")]
    public void A_choice_is_missing_where_no_policy_leaves_one_out(string dialect)
    {
        var asked = Probes.Of(BuiltIn.Named(dialect), "train")[0].Case;
        var without = Answered(asked.Under(asked.Dialect with { Policy = Policy.None })).Under(asked.Dialect);
        Assert.Equal("expert", Check(without).Culprit?.Stage);
    }

    [Fact]
    public void A_number_that_is_no_integer_is_not_written_as_one()
    {
        var halves = new CaseTensor("claim.expert", "I32", [1, 16, 2], [.. Enumerable.Repeat(0.5, 32)]);
        var answered = Answered(Probes.Of(BuiltIn.Named("hf.mixtral"), "eval")[0].Case).With(halves);
        Assert.Throws<ArgumentException>(() => answered.Save(Path.Combine(Path.GetTempPath(), "never.safetensors")));
    }

    [Fact]
    public void A_router_without_tensors_in_the_format_is_refused()
    {
        var binary = BuiltIn.All.First(d => d.Selection == Selection.BinaryCode);
        Assert.Contains("probe another dialect", Assert.Throws<CaseException>(() => Probes.Of(binary)).Message);
    }

    /// <summary>Each probe decides something: under some neighbour of some dialect its answers differ.</summary>
    [Fact]
    public void Every_scenario_tells_two_dialects_apart()
    {
        string[] dialects = ["mesh.switch", "mesh.top_2", "hf.mixtral", "hf.deepseek_v3", "deepspeed.top1", "megatron.topk"];
        var decided = new HashSet<string>();
        foreach (var dialect in dialects)
            foreach (var probe in Probes.Of(BuiltIn.Named(dialect), "train"))
            {
                if (decided.Contains(probe.Name)) continue;
                var answered = Answered(probe.Case);
                bool IsSeen(Dialect other) =>
                    Diagnosis.TryCheck(answered.Under(other), () => new ScalarBackend<Tracked>())?.Outcome == Outcome.Differs;
                if (Neighbours.Of(answered.Dialect).Any(n => IsSeen(n.Dialect))) decided.Add(probe.Name);
            }
        Assert.Equal(Probes.Of(BuiltIn.Named("mesh.switch"), "train").Select(p => p.Name).Order(), decided.Order());
    }
}
