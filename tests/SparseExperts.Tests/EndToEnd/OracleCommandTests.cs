using System.Text.Json.Nodes;
using System.Xml.Linq;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary><c>moe check</c> and <c>moe identify</c> as a CI job sees them.</summary>
public sealed class OracleCommandTests
{
    static string Recorded(string name) => Path.Combine(AppContext.BaseDirectory, "Oracle", "cases", name);

    static readonly string Switch = Recorded("mesh-tensorflow/mesh.switch-padding.safetensors");

    [Fact]
    public void A_right_file_agrees()
    {
        var result = MoeCommand.Run(["check", Switch]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.StartsWith("agrees", result.Output);
    }

    [Fact]
    public void A_departure_has_a_place_a_sentence_and_exit_code_1()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.Run(["check", Switch, "--set", "capacity_factor=3", "--json", "--junit", workspace.At("report.xml")]);
        Assert.Equal(1, result.ExitCode);
        var json = JsonNode.Parse(result.Output)!;
        Assert.Equal(("differs", "capacity", "mesh.switch"), ((string?)json["verdict"], (string?)json["stage"], (string?)json["dialect"]));
        Assert.Equal("agrees", (string?)json["stages"]!["expert"]);
        Assert.Equal("not claimed", (string?)json["stages"]!["combine"]);
        Assert.Equal(1, (int?)json["first"]!["of"]);
        Assert.Contains("capacity is the first stage that departs from mesh.switch", (string?)json["say"]);
        var suite = XDocument.Load(workspace.At("report.xml")).Root!.Element("testsuite")!;
        Assert.Equal(("1", "1", "0"), (suite.Attribute("tests")!.Value, suite.Attribute("failures")!.Value, suite.Attribute("errors")!.Value));
    }

    [Fact]
    public void A_file_that_cannot_be_read_does_not_hide_the_others()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.At("garbage.safetensors"), "not a header");
        File.Copy(Switch, workspace.At("good.safetensors"));
        var result = MoeCommand.Run(["check", workspace.Folder, "--json"]);
        Assert.Equal(2, result.ExitCode);
        var lines = result.Output.Trim().Split('\n').Select(l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal(2, lines.Length);
        Assert.Contains("garbage.safetensors", (string?)lines[0]["error"]);
        Assert.Equal("agrees", (string?)lines[1]["verdict"]);
    }

    [Fact]
    public void Identify_names_the_axis()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.Run(["identify", Recorded("transformers-modern/hf.qwen2_moe-normalised.safetensors"), "--json"]);
        Assert.Equal(0, result.ExitCode);
        var json = JsonNode.Parse(result.Output)!;
        Assert.Equal("hf.qwen2_moe", (string?)json["nearest"]);
        Assert.Empty(json["changes"]!.AsArray());
        Assert.Contains("ties", json["undecided"]!.AsArray().Select(u => (string?)u!["axis"]));
    }

    [Fact]
    public void What_is_undecided_fails_only_when_asked_to()
    {
        var open = Directory.GetFiles(Recorded(""), "*.safetensors", SearchOption.AllDirectories).Where(f => Path.GetFileName(f).Contains("tie", StringComparison.Ordinal)).ToArray();
        var (lenient, strict) = (MoeCommand.Run(["check", .. open, "--json"]), MoeCommand.Run(["check", .. open, "--json", "--strict"]));
        Assert.Contains("\"undecided\"", lenient.Output);
        Assert.Equal((0, 1), (lenient.ExitCode, strict.ExitCode));
    }
}
