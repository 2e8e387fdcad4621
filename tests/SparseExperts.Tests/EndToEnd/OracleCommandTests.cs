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
        var result = MoeCommand.RunAlone(["check", Switch]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.StartsWith("agrees", result.Output);
    }

    [Fact]
    public void A_departure_has_a_place_a_sentence_and_exit_code_1()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.RunAlone(["check", Switch, "--set", "capacity_factor=3", "--json", "--junit", workspace.At("report.xml")]);
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

    static readonly string Widened = Path.Combine(AppContext.BaseDirectory, "Oracle", "narrow", "hf.deepseek_v3-v5-bf16-widened.npz");

    [Fact]
    public void Widened_numbers_are_named_and_float32_can_be_insisted_on()
    {
        var result = MoeCommand.Run(["check", Widened]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("\n  x, claim.y: every number is a bfloat16; held to its rounding; `--format f32` insists\n", result.Output);
        var json = JsonNode.Parse(MoeCommand.Run(["check", Widened, "--json"]).Output)!;
        Assert.Equal("agrees", (string?)json["verdict"]);
        Assert.Equal("bf16", (string?)json["held_to"]!["format"]);
        Assert.Equal("x claim.y", string.Join(' ', json["held_to"]!["tensors"]!.AsArray()));
        var insisted = MoeCommand.Run(["check", Widened, "--format", "f32", "--json"]);
        json = JsonNode.Parse(insisted.Output)!;
        Assert.Equal((1, "y", null), (insisted.ExitCode, (string?)json["stage"], json["held_to"]));
        Assert.Equal(0, MoeCommand.Run(["check", Widened, "--format", "bf16"]).ExitCode);
        var identified = MoeCommand.Run(["identify", Widened]);
        Assert.Equal(0, identified.ExitCode);
        Assert.StartsWith("hf.deepseek_v3-v5-bf16-widened.npz: x, claim.y: every number is a bfloat16", identified.Output);
    }

    [Theory]
    [InlineData("check", "bf17", "--format bf17: choose auto, f32, bf16 or f16")]
    [InlineData("identify", "bf17", "--format bf17: choose auto, f32, bf16 or f16")]
    [InlineData("check", "f16", "which is no f16 number; name another format")]
    [InlineData("identify", "f16", "which is no f16 number; name another format")]
    public void Formats_that_do_not_fit_are_refused(string command, string format, string expected)
    {
        var result = MoeCommand.Run([command, Switch, "--format", format]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
        Assert.Single(result.Error.Trim().Split('\n'));
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
        static bool IsTied(string file) => Path.GetFileName(file).Contains("tie", StringComparison.Ordinal);
        var open = Directory.GetFiles(Recorded(""), "*.safetensors", SearchOption.AllDirectories).Where(IsTied).ToArray();
        var (lenient, strict) = (MoeCommand.Run(["check", .. open, "--json"]), MoeCommand.Run(["check", .. open, "--json", "--strict"]));
        Assert.Contains("\"undecided\"", lenient.Output);
        Assert.Equal((0, 1), (lenient.ExitCode, strict.ExitCode));
    }

    [Fact]
    public void Probes_are_written_checked_and_not_overwritten()
    {
        using var workspace = new Workspace();
        var written = MoeCommand.Run(["probe", "hf.mixtral", "--out", workspace.At("probes"), "--mode", "eval", "--npz"]);
        Assert.Equal((0, ""), (written.ExitCode, written.Error));
        var files = Directory.GetFiles(workspace.At("probes"), "*.npz");
        Assert.Equal(written.Output.Trim().Split('\n').Length, files.Length);
        Assert.All(files, f => Assert.Contains("it claims nothing", MoeCommand.Run(["check", f]).Error));
        Assert.Equal(2, MoeCommand.Run(["probe", "hf.mixtral", "--out", workspace.At("probes"), "--mode", "eval", "--npz"]).ExitCode);
        Assert.Equal(0, MoeCommand.Run(["probe", "hf.mixtral", "--out", workspace.At("probes"), "--mode", "eval", "--npz", "--answers", "--force"]).ExitCode);
        Assert.Equal(0, MoeCommand.Run(["check", workspace.At("probes")]).ExitCode);
    }

    [Fact]
    public void Two_engines_are_compared_layer_by_layer_and_routes_replayed()
    {
        using var workspace = new Workspace();
        foreach (var (engine, dialect) in ((string, string)[])[("a", "hf.mixtral"), ("b", "hf.qwen2_moe")])
        {
            // Two calls of one layer, one of another.
            MoeCommand.Run(["probe", dialect, "--out", workspace.At(engine), "--mode", "eval", "--answers"]);
            foreach (var file in Directory.GetFiles(workspace.At(engine)))
                if (Path.GetFileName(file) is not ("plain-eval.safetensors" or "large-eval.safetensors" or "overflow-eval.safetensors")) File.Delete(file);
            Directory.CreateDirectory(workspace.At($"{engine}/step1"));
            File.Move(workspace.At($"{engine}/plain-eval.safetensors"), workspace.At($"{engine}/step1/layer0.safetensors"));
            File.Move(workspace.At($"{engine}/large-eval.safetensors"), workspace.At($"{engine}/layer0.safetensors"));
            File.Move(workspace.At($"{engine}/overflow-eval.safetensors"), workspace.At($"{engine}/layer1.safetensors"));
        }
        var result = MoeCommand.Run(["compare", workspace.At("a"), workspace.At("b"), "--json"]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        var rows = result.Output.Trim().Split('\n').Select(l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal([("layer0", 32, 0), ("layer1", 24, 0)], rows.Select(r => ((string?)r["layer"], (int)r["tokens"]!, (int)r["tokens_apart"]!)));
        Assert.All(rows, r => Assert.True((double)r["gate_largest"]! > 0.1));       // one divides by the sum, the other does not

        string own = workspace.At("b/layer0.safetensors"), routes = workspace.At("a/step1/layer0.safetensors");
        var replayed = MoeCommand.Run(["replay", own, "--routes", routes, "--out", workspace.At("replayed.safetensors")]);
        Assert.Equal((0, ""), (replayed.ExitCode, replayed.Error));
        var stages = JsonNode.Parse(MoeCommand.Run(["check", workspace.At("replayed.safetensors"), "--json"]).Output)!["stages"]!;
        Assert.Equal(("differs", "agrees", "agrees"), ((string?)stages["expert"], (string?)stages["gate"], (string?)stages["y"]));

        File.Delete(workspace.At("b/layer1.safetensors"));
        Assert.Contains("no file 'layer1'", MoeCommand.Run(["compare", workspace.At("a"), workspace.At("b")]).Error);
    }

    [Fact]
    public void The_page_of_a_check_lies_beside_its_file()
    {
        using var workspace = new Workspace();
        File.Copy(Switch, workspace.At("router.safetensors"));
        var result = MoeCommand.Run(["report", workspace.At("router.safetensors"), "--set", "capacity_factor=3"]);
        Assert.Equal((0, workspace.At("router.html")), (result.ExitCode, result.Output.Trim()));
        Assert.Contains("capacity is the first stage that departs from mesh.switch", File.ReadAllText(workspace.At("router.html")));
    }

    [Fact]
    public void Nothing_from_a_file_reaches_the_terminal_as_a_command()
    {
        using var workspace = new Workspace();
        const string hostile =
            """{"__metadata__": {"format": "\u001b[2J"}, "x": {"dtype": "F32", "shape": [1, 1, 1], "data_offsets": [0, 4]}}""";
        var header = System.Text.Encoding.UTF8.GetBytes(hostile);
        File.WriteAllBytes(workspace.At("esc.safetensors"), [.. BitConverter.GetBytes((long)header.Length), .. header, 0, 0, 0, 0]);
        foreach (var command in (string[])["check", "identify", "report"])
        {
            var result = MoeCommand.Run([command, workspace.At("esc.safetensors")]);
            Assert.Equal(2, result.ExitCode);
            Assert.Contains("format '?[2J'", result.Error);
            Assert.DoesNotContain('\u001b', result.Error);
        }
    }

    [Fact]
    public void No_command_writes_over_its_input_or_half_of_its_output()
    {
        using var workspace = new Workspace();
        MoeCommand.Run(["probe", "hf.mixtral", "--out", workspace.At("a"), "--mode", "eval", "--answers"]);
        var file = workspace.At("a/plain-eval.safetensors");
        var before = File.ReadAllBytes(file);
        Assert.Contains("is the case file itself", MoeCommand.Run(["report", file, "--out", file]).Error);
        Assert.Equal(before, File.ReadAllBytes(file));

        // Routes of other experts are refused before anything is written.
        MoeCommand.Run(["probe", """{ "like": "hf.mixtral", "groups": 1, "k": 2 }""", "--out", workspace.At("b"), "--mode", "eval"]);
        var refused = MoeCommand.Run(["replay", file, "--routes", workspace.At("b/plain-eval.safetensors"), "--out", workspace.At("new.safetensors")]);
        Assert.Equal(2, refused.ExitCode);
        Assert.False(File.Exists(workspace.At("new.safetensors")));

        MoeCommand.Run(["probe", "hf.mixtral", "--out", workspace.At("a"), "--mode", "eval", "--answers", "--npz"]);
        var twice = MoeCommand.Run(["compare", workspace.At("a"), workspace.At("a")]);
        Assert.Equal(2, twice.ExitCode);
        Assert.Contains("is there twice", twice.Error);
    }
}
