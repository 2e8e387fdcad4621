using System.Text.Json;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>The GPU's kernels on the emulator, as a user calls them.</summary>
public sealed class EmulatedCudaTests : IDisposable
{
    readonly Workspace _workspace = new(lines: 10);

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public void A_run_that_changes_machines_twice_ends_with_the_same_checkpoint()
    {
        string[] small = ["--steps", "6", "--checkpoint-every", "2", "--batch", "1", "--context", "20"];
        Assert.Equal(0, MoeCommand.Run(_workspace.Tiny("straight", small)).ExitCode);
        Assert.Equal(0, MoeCommand.Run(_workspace.Tiny("moving", small)).ExitCode);
        var expected = _workspace.CheckpointHash("straight");
        Assert.Equal(expected, _workspace.CheckpointHash("moving"));
        var config = _workspace.At("moving/config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"checkpoint_every\": 2", "\"checkpoint_every\": 1"));
        GoOn("moving", "cuda-emulated");                    // from step 4, with one of its own at 5
        Assert.Equal(expected, _workspace.CheckpointHash("moving"));
        GoOn("moving", "cpu");                              // from step 5
        Assert.Equal(expected, _workspace.CheckpointHash("moving"));
    }

    [Theory]
    [InlineData("hf.mixtral", false)]
    [InlineData("mesh.top_2", false)]
    [InlineData("mesh.switch_max", true)]
    [InlineData("mesh.top_2", true, "--batch", "2", "--accumulate", "2")]
    public void Training_says_in_one_line_where_the_host_plans(string dialect, bool says, params string[] more)
    {
        string[] small = [.. more.Length > 0 ? more : ["--batch", "1"], "--steps", "1", "--context", "16", "--backend", "cuda-emulated"];
        var trained = MoeCommand.Run(_workspace.Tiny("run", [.. small, "--dialect", dialect]));
        Assert.True(trained.ExitCode == 0, trained.Error);
        var lines = trained.Output.Split('\n').Count(line => line.StartsWith($"the host plans {dialect} (", StringComparison.Ordinal));
        Assert.Equal(says ? 1 : 0, lines);
    }

    [Fact]
    public void Precision_is_kept_with_the_run_and_said()
    {
        string[] small = ["--steps", "1", "--batch", "1", "--context", "16"];
        var trained = MoeCommand.Run(_workspace.Tiny("run", [.. small, "--backend", "cuda-emulated", "--precision", "tf32"]));
        Assert.True(trained.ExitCode == 0, trained.Error);
        var config = JsonDocument.Parse(File.ReadAllText(_workspace.At("run/config.json"))).RootElement;
        Assert.Equal("tf32", config.GetProperty("precision").GetString());
        Assert.Contains("tf32 products, exact in routers", File.ReadAllText(_workspace.At("run/report.html")));
        var listed = JsonDocument.Parse(MoeCommand.Run(["backends", "--json"]).Output).RootElement.EnumerateArray();
        var backends = listed.ToDictionary(b => b.GetProperty("name").GetString()!);
        Assert.Equal(["exact"], backends["cpu"].GetProperty("precisions").EnumerateArray().Select(p => p.GetString()));
        Assert.Equal(["exact", "f32", "tf32", "bf16"], backends["cuda-emulated"].GetProperty("precisions").EnumerateArray().Select(p => p.GetString()));
    }

    [Theory]
    [InlineData("train", "--backend cpu --precision tf32", "--precision tf32: backend cpu has exact; choose among these or another backend")]
    [InlineData("selftest", "--precision f32", "--precision f32: backend cpu has exact")]
    [InlineData("evaluate", "nowhere --backend scalar --precision bf16", "--precision bf16: backend scalar has exact")]
    [InlineData("generate", "nowhere --precision bf16", "--precision bf16: backend cpu has exact")]
    [InlineData("selftest", "--precision fp8", "fp8")]
    public void A_precision_that_a_backend_has_not_is_one_line(string command, string options, string expected)
    {
        string[] own = command == "train" ? ["--text", _workspace.TextPath, "--out", _workspace.At("refused")] : [];
        var result = MoeCommand.Run([command, .. own, .. options.Split(' ')]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
        Assert.Single(result.Error.Trim().Split('\n'));
    }

    /// <summary>Forgets the newest checkpoint and trains on elsewhere.</summary>
    void GoOn(string run, string backend)
    {
        Directory.Delete(Directory.GetDirectories(_workspace.At($"{run}/checkpoints")).Order(StringComparer.Ordinal).Last(), true);
        var result = MoeCommand.Run(["train", "--resume", _workspace.At(run), "--backend", backend]);
        Assert.True(result.ExitCode == 0, result.Error);
    }
}
