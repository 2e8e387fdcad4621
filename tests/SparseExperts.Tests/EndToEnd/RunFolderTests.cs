using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

public sealed class RunFolderTests
{
    [Fact]
    public void A_run_folder_holds_configuration_metrics_checkpoint_and_report()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "40")).ExitCode);
        var metrics = File.ReadLines(workspace.At("run/metrics.jsonl")).Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        Assert.True(metrics[^1].GetProperty("held_out_bits_per_byte").GetDouble() is > 0 and < 8.5);
        Assert.Equal(40, metrics[^1].GetProperty("step").GetInt64());
        Assert.All(metrics[..^1], m => Assert.True(m.GetProperty("train_bits_per_byte").GetDouble() > 0 && m.GetProperty("tokens_per_second").GetDouble() > 0));
        Assert.Equal(4, metrics[0].GetProperty("load")[0].GetArrayLength());
        Assert.Equal(40, JsonDocument.Parse(File.ReadAllText(workspace.At("run/config.json"))).RootElement
            .GetProperty("training").GetProperty("steps").GetInt64());
        Assert.Contains("<svg", File.ReadAllText(workspace.At("run/report.html")));
    }

    [Theory]
    [InlineData("\"numerics\": [0-9]+,", "", "began with numerics 1,")]
    [InlineData("\"numerics\": [0-9]+,", "\"numerics\": 99,", "began with numerics 99,")]
    [InlineData("nothing", "", null)]
    public void A_run_of_other_numerics_goes_on_and_says_so(string pattern, string replacement, string? expected)
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "2")).ExitCode);
        var config = File.ReadAllText(workspace.At("run/config.json"));
        Assert.Contains($"\"numerics\": {NumericsVersion.Current},", config);
        File.WriteAllText(workspace.At("run/config.json"), Regex.Replace(config, pattern, replacement));
        var resumed = MoeCommand.Run(["train", "--resume", workspace.At("run")]);
        Assert.Equal(0, resumed.ExitCode);
        if (expected is null) Assert.DoesNotContain("numerics", resumed.Error);
        else Assert.Contains(expected, Assert.Single(resumed.Error.Split('\n'), l => l.StartsWith("warning:", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_run_names_its_family_and_is_a_decoder_where_it_names_none()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "2")).ExitCode);
        var path = workspace.At("run/config.json");
        var config = File.ReadAllText(path);
        const string line = "  \"family\": \"decoder\",\n";
        Assert.Contains(line, config);
        var expected = MoeCommand.Run(["evaluate", workspace.At("run")]).Output;
        File.WriteAllText(path, config.Replace(line, ""));
        var without = MoeCommand.Run(["evaluate", workspace.At("run")]);
        Assert.Equal((0, expected), (without.ExitCode, without.Output));
        File.WriteAllText(path, config.Replace(line, line.Replace("decoder", "perceiver")));
        var unknown = MoeCommand.Run(["evaluate", workspace.At("run")]);
        Assert.Equal(2, unknown.ExitCode);
        Assert.Contains("family 'perceiver': unknown; this program knows decoder", Assert.Single(unknown.Error.TrimEnd('\n').Split('\n')));
    }

    [Fact]
    public void A_run_in_micro_batches_resumes_to_the_bytes_of_one_in_whole_batches()
    {
        using var workspace = new Workspace();
        string[] options = ["--dense", "--steps", "40", "--checkpoint-every", "20"];
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("whole", options)).ExitCode);
        var parts = MoeCommand.Run(workspace.Tiny("parts", [.. options, "--accumulate", "4"]));
        Assert.Equal((0, ""), (parts.ExitCode, parts.Error));
        Assert.Equal(workspace.CheckpointHash("whole"), workspace.CheckpointHash("parts"));
        Assert.Contains("\"accumulate\": 4", File.ReadAllText(workspace.At("parts/config.json")));
        Directory.Delete(workspace.At("parts/checkpoints/step-00000040"), true);
        Assert.Equal(0, MoeCommand.Run(["train", "--resume", workspace.At("parts")]).ExitCode);
        Assert.Equal(workspace.CheckpointHash("whole"), workspace.CheckpointHash("parts"));
    }

    [Fact]
    public void Micro_batches_that_are_another_step_are_said_to_be()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.Run(workspace.Tiny("run", "--steps", "2", "--accumulate", "2"));
        Assert.Equal(0, result.ExitCode);
        var line = Assert.Single(result.Error.TrimEnd('\n').Split('\n'));
        Assert.StartsWith("note: 2 micro-batches of 4 are not the batch of 8 in one: mesh.switch has the batch for one group", line);
        result = MoeCommand.Run(workspace.Tiny("other", "--steps", "2", "--accumulate", "3"));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("batch 8 in 3 micro-batches: does not divide; choose one of 1, 2, 4, 8", Assert.Single(result.Error.TrimEnd('\n').Split('\n')));
        Assert.False(Directory.Exists(workspace.At("other")));
    }

    [Fact]
    public void A_model_without_its_optimizer_is_evaluated_and_writes_but_is_not_trained_on()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "2")).ExitCode);
        string[] evaluate = ["evaluate", workspace.At("run")], generate = ["generate", workspace.At("run"), "--bytes", "20"];
        string[] before = [MoeCommand.Run(evaluate).Output, MoeCommand.Run(generate).Output];
        File.Delete(Path.Combine(Directory.GetDirectories(workspace.At("run/checkpoints")).Single(), "optimizer.safetensors"));
        foreach (var (arguments, expected) in ((string[], string)[])[(evaluate, before[0]), (generate, before[1])])
        {
            var result = MoeCommand.Run(arguments);
            Assert.Equal((0, expected), (result.ExitCode, result.Output));
        }
        var resumed = MoeCommand.Run(["train", "--resume", workspace.At("run")]);
        Assert.Equal(2, resumed.ExitCode);
        Assert.Contains("optimizer.safetensors: is missing, and training cannot go on without", Assert.Single(resumed.Error.TrimEnd('\n').Split('\n')));
    }

    [Theory]
    [InlineData("{\"family\": \"decoder\", \"model\": 5, \"training\": {}}")]
    [InlineData("{}")]
    [InlineData("[]")]
    public void No_lock_is_left_where_no_run_is(string config)
    {
        using var workspace = new Workspace();
        Directory.CreateDirectory(workspace.At("other"));
        File.WriteAllText(workspace.At("other/config.json"), config);
        Assert.Equal(2, MoeCommand.Run(["train", "--resume", workspace.At("other")]).ExitCode);
        Assert.Equal(["config.json"], Directory.EnumerateFileSystemEntries(workspace.At("other")).Select(Path.GetFileName));
    }

    [Fact]
    public void Json_lines_are_the_metrics()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.Run(workspace.Tiny("run", "--steps", "20", "--json"));
        Assert.Equal(File.ReadAllText(workspace.At("run/metrics.jsonl")), result.Output);
    }

    [Fact]
    public void Bytes_that_are_not_text_train_too()
    {
        using var workspace = new Workspace();
        File.WriteAllBytes(workspace.TextPath, [.. Enumerable.Range(0, 4000).Select(i => (byte)(i * 7919 >> 3))]);
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "3")).ExitCode);
    }

    [Fact]
    public void A_folder_of_texts_is_read_in_ordinal_order()
    {
        using var workspace = new Workspace();
        Directory.CreateDirectory(workspace.At("texts"));
        File.WriteAllText(workspace.At("texts/b.txt"), new string('b', 500));
        File.WriteAllText(workspace.At("texts/a.txt"), new string('a', 500));
        File.WriteAllText(workspace.At("texts/notes.md"), "left out, because there are .txt files");
        var text = SparseExperts.Data.ByteText.Load(workspace.At("texts"), 64);
        Assert.Equal(1000, text.Length);
        Assert.Equal(((byte)'a', (byte)'b'), (text.Train[0], text.HeldOut[^1]));
    }

    [Fact]
    public void A_trained_model_evaluates_and_generates_the_same_way_twice()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "30")).ExitCode);
        string[] generate = ["generate", workspace.At("run"), "--prompt", "It was ", "--bytes", "20", "--seed", "3"];
        var first = MoeCommand.Run(generate);
        Assert.Equal(first, MoeCommand.Run(generate));
        Assert.StartsWith("It was ", first.Output);
        var evaluated = JsonDocument.Parse(MoeCommand.Run(["evaluate", workspace.At("run"), "--json"]).Output)
            .RootElement.GetProperty("bits_per_byte").GetDouble();
        var logged = JsonDocument.Parse(File.ReadLines(workspace.At("run/metrics.jsonl")).Last()).RootElement.GetProperty("held_out_bits_per_byte").GetDouble();
        Assert.Equal(logged, evaluated);
    }

    [Theory]
    [InlineData("--dense")]
    [InlineData("--optimizer", "adafactor")]
    [InlineData("--experts", "7", "--capacity-factor", "0.5")]
    public void Every_kind_of_training_learns(params string[] options)
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", ["--steps", "60", .. options])).ExitCode);
        var bits = File.ReadLines(workspace.At("run/metrics.jsonl")).Select(l => JsonDocument.Parse(l).RootElement)
            .Where(m => m.TryGetProperty("train_bits_per_byte", out _)).Select(m => m.GetProperty("train_bits_per_byte").GetDouble()).ToArray();
        Assert.True(bits[^1] < bits[0] - 0.5, $"from {bits[0]} to {bits[^1]}");
    }

    [Fact]
    public void The_published_recipe_runs()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(["train", "--preset", "switch", "--steps", "3", "--batch", "2",
            "--text", workspace.TextPath, "--out", workspace.At("run")]).ExitCode);
    }
}
