using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>A recorded call is held to a specification that differs from what was run, as a bug would: the stage and the axis are named.</summary>
public sealed class IdentificationTests
{
    static Case Recorded(string file) => Case.Load(Path.Combine(AppContext.BaseDirectory, "Oracle", "cases", file + ".safetensors"));

    /// <summary>A recorded file whose own parameters say something else than what was run.</summary>
    static Case Specified(string file, params (string Key, JsonNode Value)[] parameters)
    {
        var bytes = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Oracle", "cases", file + ".safetensors"));
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        var header = JsonNode.Parse(bytes.AsSpan(8, length))!;
        var changed = JsonNode.Parse((string)header["__metadata__"]!["parameters"]!)!;
        foreach (var (key, value) in parameters) changed[key] = value;
        header["__metadata__"]!["parameters"] = changed.ToJsonString();
        var text = Encoding.UTF8.GetBytes(header.ToJsonString());
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)text.Length), .. text, .. bytes.AsSpan(8 + length)]);
            return Case.Load(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    static Dialect With(Dialect dialect, string axis, string value) => DialectAxis.Find(axis)!.With(dialect, value, "test");

    [Theory]
    [InlineData("transformers-modern/hf.qwen2_moe-normalised", "normalize", "none", "combine")]
    [InlineData("transformers-modern/hf.deepseek_v3-groups", "group_score", "max", "expert")]
    [InlineData("transformers-modern/hf.deepseek_v3-groups", "scaling_factor", "1", "combine")]
    [InlineData("transformers-modern/hf.deepseek_v3-groups", "gate", "biased_score", "combine")]
    [InlineData("mesh-tensorflow/mesh.top_2-padding", "padding", "routed", "expert")]
    [InlineData("mesh-tensorflow/mesh.switch-padding", "capacity_factor", "2", "capacity")]
    [InlineData("mesh-tensorflow/mesh.top_2-threshold-52", "threshold", "0.35", "expert")]
    [InlineData("mesh-tensorflow/mesh.switch-padding-z", "z_loss", "all_tokens", "loss.z")]
    public void One_departure_is_found_at_its_stage_and_named(string file, string axis, string specified, string stage)
    {
        var recorded = Recorded(file);
        var truth = DialectAxis.Find(axis)!.Format(recorded.Dialect);
        var held = recorded.Under(With(recorded.Dialect, axis, specified));

        using var backend = new ScalarBackend<Tracked>();
        var verdict = CaseCheck.Run(held, backend);
        Assert.Equal(stage, verdict.Culprit?.Stage);
        Assert.Contains(new(axis, truth!, specified), Diagnosis.Explain(held, verdict, () => new ScalarBackend<Tracked>()).Changes);

        var identity = Identification.Run([held], () => new ScalarBackend<Tracked>());
        Assert.Equal(0, identity.Left);
        Assert.Contains($"{axis} = {truth} instead of {specified}", identity.Changes.Select(c => c.Change.ToString()).Concat(identity.Alternatives));
    }

    [Fact]
    public void Two_departures_are_found_together()
    {
        var held = Specified("transformers-modern/hf.deepseek_v3-groups", ("group_score", "max"), ("scaling_factor", 7));
        var identity = Identification.Run([held], () => new ScalarBackend<Tracked>());
        Assert.Equal((0, 2), (identity.Left, identity.Changes.Count));
        Assert.Equal(["group_score", "scaling_factor"], identity.Changes.Select(c => c.Change.Axis).Order());
        Assert.All(identity.Changes, c => Assert.Contains("differs at", c.Evidence));
    }

    [Fact]
    public void What_a_file_cannot_show_stays_open()
    {
        // Nothing overflows here and no scores are equal.
        var identity = Identification.Run([Recorded("transformers-modern/hf.deepseek_v3-groups")], () => new ScalarBackend<Tracked>());
        Assert.Empty(identity.Changes);
        Assert.Contains("ties", identity.Open.Select(o => o.Axis));
        Assert.DoesNotContain("scaling_factor", identity.Open.Select(o => o.Axis));
        Assert.Contains("hf.glm4_moe", identity.Same);
    }

    /// <summary>An open tie rule allows what every other rule claims: no call decides against it, and where equal scores are, none is asked for.</summary>
    [Theory]
    [InlineData("mesh.switch", false)]
    [InlineData("mesh.switch", true)]
    [InlineData("hf.mixtral", false)]
    [InlineData("hf.mixtral", true)]
    public void A_call_with_equal_scores_is_asked_for_only_where_it_would_decide(string dialect, bool hasTies)
    {
        using var backend = new ScalarBackend<Float32>();
        var asked = Probes.Of(BuiltIn.Named(dialect)).Single(p => p.Name == (hasTies ? "ties-eval" : "plain-eval"));
        Case[] files = [CaseAnswers.Fill(asked.Case, backend)];
        var open = Identification.Run(files, () => new ScalarBackend<Tracked>()).Open;
        if (hasTies) Assert.All(open.Where(o => o.Axis == "ties"), o => Assert.True(o.IsThere));
        else
        {
            var ties = Assert.Single(open, o => o.Axis == "ties");
            Assert.Equal(("a call with equal scores", false), (ties.Suggest, ties.IsThere));
            Assert.DoesNotContain("unspecified", ties.Also);
        }
    }

    [Fact]
    public void What_the_files_have_already_is_not_asked_for_again()
    {
        using var backend = new ScalarBackend<Float32>();
        var padded = Probes.Of(BuiltIn.Named("hf.mixtral")).Single(p => p.Name == "padding-train");
        var open = Identification.Run([CaseAnswers.Fill(padded.Case, backend)], () => new ScalarBackend<Tracked>()).Open;
        var padding = Assert.Single(open, o => o.Axis == "padding");
        Assert.Equal(("a call with padding, losses claimed", true), (padding.Suggest, padding.IsThere));
    }

    /// <summary>Whatever neighbour or stranger a file is held to, it is checked or refused; it never breaks the search.</summary>
    [Fact]
    public void Every_dialect_checks_or_refuses_every_kind_of_file()
    {
        var folder = Path.Combine(AppContext.BaseDirectory, "Oracle", "cases");
        var cases = Directory.GetFiles(folder, "*.safetensors", SearchOption.AllDirectories).Select(Case.Load);
        var oneOfEach = cases.GroupBy(c => c.Dialect.Name).Select(g => g.First()).ToArray();
        var checkedUnder = 0;
        Parallel.ForEach(oneOfEach, file =>
        {
            var strangers = BuiltIn.All.Select(d => { try { return file.HeldTo(d); } catch (DialectException) { return null; } });
            foreach (var held in strangers.Concat(Neighbours.Of(file.Dialect).Select(n => file.Under(n.Dialect))))
                if (held is not null && Diagnosis.TryCheck(held, () => new ScalarBackend<Tracked>()) is not null) Interlocked.Increment(ref checkedUnder);
        });
        Assert.InRange(checkedUnder, 1000, int.MaxValue);
    }
}
