using System.Text.Json.Nodes;
using SparseExperts.Describing;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Number formats of the router's stages: what dialects say is what the libraries' calls in bfloat16 hold, and an engine that departs at one is told at
/// which.
/// </summary>
public sealed class StageFormatTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Oracle", "cases");

    static IBackend Tracked() => new ScalarBackend<Tracked>();

    /// <summary>Recorded calls whose tokens are bfloat16.</summary>
    public static TheoryData<string> Recorded =>
    [
        .. Directory.GetFiles(Folder, "*bf16*.safetensors", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(Folder, f).Replace('\\', '/'))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>Transformers 4.57 rounds these gates, which 5 no longer does; DBRX's softmax was in float32 then.</summary>
    static bool IsOlder(string file, string axis) => file.StartsWith("transformers-modern/", StringComparison.Ordinal) && (axis == "gate_dtype"
        ? file.Contains("mixtral") || file.Contains("deepseek_v") || file.Contains("glm4_moe")
        : axis == "score_dtype" && file.Contains("dbrx"));

    [Theory]
    [MemberData(nameof(Recorded))]
    public void Dialects_say_the_formats_that_recorded_calls_hold(string name)
    {
        var file = Case.Load(Path.Combine(Folder, name));
        Assert.Equal(NumberFormat.BFloat16, file.Get("x").Format);
        foreach (var (axis, claims) in ((string, string[])[])[("logits_dtype", ["claim.logits"]), ("score_dtype", ["claim.scores"]), ("gate_dtype",
            ["claim.gate", "claim.combine"])])
        {
            if (claims.Select(file.Find).FirstOrDefault(t => t is not null) is not { } claim || IsOlder(name, axis)) continue;
            // Megatron's scores and gates follow the format that its user gives the router.
            if (axis != "logits_dtype" && file.Parameters.ContainsKey("router_dtype") && BuiltIn.Named(file.DialectText).RouterDtype is null) continue;
            var isWide = claim.Values.Any(v => Rounding.To(NumberFormat.BFloat16, v) != v);
            Assert.True(isWide == (FormatText.Of(file.Dialect, axis) == "f32"),
                $"{axis} is {FormatText.Of(file.Dialect, axis)}, {claim.Name} holds {(isWide ? "float32" : "bfloat16")}");
        }
        // A weight that is kept in float32 was cast from, and back to, a model in bfloat16 before some calls were recorded; the other way round it cannot be.
        if (file.Find("router.weight") is { Format: NumberFormat.Float32 } && !name.StartsWith("transformers/", StringComparison.Ordinal))
            Assert.Equal("f32", FormatText.Of(file.Dialect, "router_weight_dtype"));
        if (FormatText.Of(file.Dialect, "router_weight_dtype") != "f32" && !name.StartsWith("transformers/", StringComparison.Ordinal))
            Assert.Equal(NumberFormat.BFloat16, file.Find("router.weight")?.Format ?? NumberFormat.BFloat16);
    }

    [Theory]
    [MemberData(nameof(Recorded))]
    public void A_recorded_call_is_accused_of_no_format_but_of_the_older_librarys(string name)
    {
        var file = Case.Load(Path.Combine(Folder, name));
        Assert.Equal(IsOlder(name, "gate_dtype") ? ["gate_dtype"] : [], FormatCheck.Run(file, FormatChoice.Auto, Tracked).Verdict.FormatDepartures.Select(p =>
            p.Change.Axis));
    }

    [Fact]
    public void Every_dialect_has_words_for_every_stage()
    {
        foreach (var dialect in BuiltIn.All)
            Assert.All(FormatText.Stages(dialect), s => Assert.Matches("^(f32|bf16|f16|as the tokens)$", s.Format));
        Assert.Equal("f32", FormatText.Of(BuiltIn.Named("hf.deepseek_v3"), "logits_dtype"));
        Assert.Equal(["as the tokens", "as the tokens", "as the tokens", "f32", "f32"], FormatText.Router.Select(a =>
            FormatText.Of(BuiltIn.Named("hf.mixtral"), a)));
    }

    const string Right = "";

    public static TheoryData<string, string, NumberFormat, NumberFormat> Engines()
    {
        var data = new TheoryData<string, string, NumberFormat, NumberFormat>();
        foreach (var tokens in (NumberFormat[])[NumberFormat.Float32, NumberFormat.BFloat16])
        {
            foreach (var stage in (string[])[Right, "router_weight_dtype", "router_dtype", "logits_dtype", "score_dtype",
                "gate_dtype"]) data.Add("hf.deepseek_v3", stage, tokens, NumberFormat.BFloat16);
            foreach (var stage in (string[])[Right, "score_dtype", "gate_dtype"]) data.Add("hf.mixtral", stage, tokens, NumberFormat.BFloat16);
            data.Add("hf.deepseek_v3", "score_dtype", tokens, NumberFormat.Float16);
        }
        foreach (var stage in (string[])["router_weight_dtype", "router_dtype"]) data.Add("hf.mixtral", stage, NumberFormat.Float32, NumberFormat.BFloat16);
        return data;
    }

    /// <summary>Whether an engine computes one stage in a narrow format; it is told so by check and by identify, and of no other stage.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void An_engine_that_departs_at_one_stage_is_told_at_which(string dialect, string stage, NumberFormat tokens, NumberFormat narrow)
    {
        for (var seed = 0; seed < 3; seed++)
        {
            var file = Engine(dialect, stage, tokens, narrow, seed);
            var (held, verdict) = FormatCheck.Run(file, FormatChoice.Auto, Tracked);
            var explanation = Diagnosis.Explain(held, verdict, Tracked);
            var said = Named(explanation.Changes, verdict.FormatDepartures);
            var identity = Identification.Run([FormatCheck.Settle(file, FormatChoice.Auto, Tracked).Case], Tracked);
            var found = Named([.. identity.Changes.Select(c => c.Change)], identity.FormatDepartures);
            string[] expected = stage == Right ? [] : [stage];
            Assert.True(expected.SequenceEqual(said), $"seed {seed}: check names [{string.Join(", ", said)}]: {Diagnosis.Say(held, verdict, explanation)}");
            Assert.True(expected.SequenceEqual(found), $"seed {seed}: identify names [{string.Join(", ", found)}] from {identity.Nearest}");
            Assert.Equal(dialect, identity.Nearest);
            if (stage == Right) Assert.Equal(Outcome.Agrees, verdict.Outcome);
        }
    }

    static string[] Named(IReadOnlyList<AxisChange> causes, IReadOnlyList<FormatDeparture> departures) =>
        [.. causes.Take(1).Select(c => c.Axis).Concat(departures.Where(p => !causes.Any(p.IsExplainedBy)).Select(p => p.Change.Axis)).Distinct()];

    const int Tokens = 16, Width = 32, Experts = 8, Choices = 2;

    /// <summary>A router that computes every stage as its dialect does, but for one.</summary>
    static Case Engine(string name, string stage, NumberFormat tokens, NumberFormat narrow, int seed)
    {
        var random = new Random(seed);
        var d = BuiltIn.Named(name);
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        double[] Draw(int count, double scale, NumberFormat format) => [.. Enumerable.Range(0, count).Select(_ => Rounding.To(format,
            (float)(scale * Normal())))];
        // Weights of a model in bfloat16, but for a router that is kept in float32.
        double[] x = Draw(Tokens * Width, 1, tokens), weight = Draw(Experts * Width, 0.3, d.RouterWeightDtype ?? tokens);
        double In(string axis, NumberFormat? own, double value) => Rounding.To(axis == stage ? narrow : own ?? tokens, value);
        double Input(double value) => stage == "router_dtype" ? Rounding.To(narrow, value) : value;
        double[] logits = new double[Tokens * Experts], scores = new double[logits.Length], gates = new double[Tokens * Choices],
            expert = new double[gates.Length];
        for (var t = 0; t < Tokens; t++)
        {
            for (var e = 0; e < Experts; e++)
            {
                float sum = 0;
                for (var i = 0; i < Width; i++)
                {
                    var w = stage == "router_weight_dtype" ? Rounding.To(narrow, weight[e * Width + i]) : Input(weight[e * Width + i]);
                    sum += (float)(Input(x[t * Width + i]) * w);
                }
                logits[t * Experts + e] = In("logits_dtype", d.LogitsDtype ?? (stage == "router_dtype" ? narrow : d.RouterDtype), sum);
            }
            var row = logits.AsSpan(t * Experts, Experts).ToArray();
            var total = row.Sum(l => Math.Exp(l - row.Max()));
            for (var e = 0; e < Experts; e++)
                scores[t * Experts + e] = In("score_dtype", d.ScoreDtype, (float)(d.Score == Score.Sigmoid ? 1 / (1 + Math.Exp(-row[e]))
                    : Math.Exp(row[e] - row.Max()) / total));
            var own = scores.AsSpan(t * Experts, Experts).ToArray();
            var chosen = Enumerable.Range(0, Experts).OrderByDescending(e => own[e]).Take(Choices).ToArray();
            for (var j = 0; j < Choices; j++)
            {
                expert[t * Choices + j] = chosen[j];
                gates[t * Choices + j] = In("gate_dtype", d.GateDtype, (float)(own[chosen[j]] / chosen.Sum(e => own[e])));
            }
        }
        CaseTensor Floats(string tensor, double[] values, params long[] shape) => new(tensor, "F32", shape, values);
        CaseTensor[] bias = d.CorrectionBias ? [Floats("router.correction_bias", new double[Experts], Experts)] : [];
        return Case.Create(name, "eval", [
            Floats("x", x, 1, Tokens, Width) with { DType = tokens == NumberFormat.BFloat16 ? "BF16" : "F32" }, Floats("router.weight", weight, Experts,
                Width), .. bias,
            Floats("claim.logits", logits, 1, Tokens, Experts), Floats("claim.scores", scores, 1, Tokens, Experts),
            new("claim.expert", "I32", [1, Tokens, Choices], expert), Floats("claim.gate", gates, 1, Tokens, Choices),
        ], new JsonObject { ["k"] = Choices });
    }
}
