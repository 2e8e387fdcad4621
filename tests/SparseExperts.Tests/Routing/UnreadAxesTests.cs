using SparseExperts.Conformance;
using SparseExperts.Routing;
using SparseExperts.Tests.EndToEnd;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>What is said to change nothing changes nothing, and what a person sets in vain is said.</summary>
public sealed class UnreadAxesTests
{
    public static TheoryData<int, string> Unread()
    {
        var data = new TheoryData<int, string>();
        foreach (var (i, rule) in UnreadAxes.Rules.Index())
            foreach (var axis in rule.Axes) data.Add(i, axis.Name);
        return data;
    }

    [Theory, MemberData(nameof(Unread))]
    public void An_axis_that_is_not_read_changes_nothing(int rule, string axis)
    {
        Dialect[] scenes = [.. BuiltIn.All.Where(d => d.LayerKind() == LayerKind.Routed && !UnreadAxes.Rules[rule].IsRead(d))];
        if (UnreadAxes.Rules[rule].By.Name == "capacity") scenes = [BuiltIn.Named("mesh.switch") with { Capacity = 3 }];
        Assert.NotEmpty(scenes);
        var step = Math.Max(1, scenes.Length / 4);
        foreach (var scene in scenes.Where((_, i) => i % step == 0)) Assert.Null(AxisLaw.Shown(DialectAxis.Find(axis)!, scene));
    }

    /// <summary>The proof sees an axis that is read.</summary>
    [Theory]
    [InlineData("min_capacity", "mesh.switch")]
    [InlineData("balance_coefficient", "mesh.switch")]
    [InlineData("z_coefficient", "luc.st_moe")]
    [InlineData("bias_rate", "hf.deepseek_v3")]
    [InlineData("jitter", "mesh.switch")]
    [InlineData("activation_limit", "hf.gpt_oss")]
    [InlineData("normalize_epsilon", "lingvo.top2")]
    public void An_axis_that_is_read_shows(string axis, string dialect)
    {
        var subject = BuiltIn.Named(dialect);
        if (axis == "jitter") subject = subject with { RouterPolicy = RouterPolicy.InputJitter };
        Assert.NotNull(AxisLaw.Shown(DialectAxis.Find(axis)!, subject));
    }

    [Theory]
    [InlineData("""{ "like": "mesh.switch", "capacity_formula": "none", "min_capacity": 8 }""",
        "min_capacity 8 changes nothing with capacity_formula none; leave it out, or choose another capacity_formula")]
    [InlineData("""{ "like": "hf.mixtral", "z_coefficient": -0.5 }""", "z_coefficient -0.5 changes nothing with z_loss none")]
    [InlineData("""{ "like": "hf.mixtral", "bias_rate": 0.5 }""", "bias_rate 0.5 changes nothing with correction_bias false")]
    [InlineData("""{ "name": "mine", "k": 2, "jitter": 0.3 }""", "jitter 0.3 changes nothing with router_policy argmax")]
    [InlineData("""{ "name": "mine", "k": 2, "balance_coefficient": -1 }""", "balance_coefficient -1 changes nothing with balance none")]
    [InlineData("""{ "name": "mine", "k": 2, "shared_gate": true }""", "shared_gate true changes nothing with shared_expert false")]
    [InlineData("""{ "name": "mesh.switch", "like": "mesh.switch", "k": 2 }""",
        "mesh.switch is the name of a built-in dialect, which has k 1, not 2; give yours a name of its own")]
    [InlineData("""{ "like": "mesh.switch", "name": "hf.mixtral" }""", "hf.mixtral is the name of a built-in dialect, which has ")]
    public void What_is_set_in_vain_is_said(string text, string expected) =>
        Assert.StartsWith(expected, Assert.Single(UnreadAxes.Remarks(text, DialectFile.Parse(text, "mine.json"))));

    [Fact]
    public void Built_in_dialects_written_out_are_taken_without_a_remark() => Assert.All(BuiltIn.All, d =>
    {
        var text = DialectFile.ToJson(d).ToJsonString();
        Assert.Empty(UnreadAxes.Remarks(text, d));
        var like = $$"""{ "like": "{{d.Name}}", "name": "mine", "ties": "highest" }""";
        if (d.LayerKind() == LayerKind.Routed) Assert.Empty(UnreadAxes.Remarks(like, DialectFile.Parse(like, "mine.json")));
    });

    [Fact]
    public void The_command_warns_in_one_line_and_goes_on()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.At("mine.json"), """{ "like": "hf.mixtral", "name": "mine", "z_coefficient": 0.1 }""");
        var result = MoeCommand.Run(["dialects", workspace.At("mine.json")]);
        Assert.Equal(0, result.ExitCode);
        Assert.StartsWith("warning: mine: z_coefficient 0.1 changes nothing with z_loss none", Assert.Single(result.Error.TrimEnd('\n').Split('\n')));
    }
}
