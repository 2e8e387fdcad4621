using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>What a checkpoint holds is what was saved, or the one before is taken; a run that is killed anywhere ends with the same bytes.</summary>
public sealed class CheckpointTests(CheckpointTests.Trained trained) : IClassFixture<CheckpointTests.Trained>
{
    /// <summary>A run of sixty steps with three checkpoints, for those that damage a copy of it.</summary>
    public sealed class Trained : IDisposable
    {
        internal Workspace Workspace { get; } = new();

        public Trained() => Assert.Equal(0, MoeCommand.Run(Workspace.Tiny("run", "--steps", "60", "--checkpoint-every", "20")).ExitCode);

        public void Dispose() => Workspace.Dispose();
    }

    [Theory]
    [InlineData("truncated", "claims bytes")]
    [InlineData("zeroed", "SHA-256")]
    [InlineData("mixed", "SHA-256")]
    [InlineData("optimizer", "optimizer.safetensors: is missing")]
    [InlineData("other step", "it is of step 20")]
    [InlineData("impossible step", "not a usable checkpoint state")]
    [InlineData("no state", null)]
    [InlineData("empty newer", null)]
    public void The_newest_whole_checkpoint_is_taken(string damage, string? expected)
    {
        using var workspace = new Workspace();
        workspace.Take(trained.Workspace, "run");
        var whole = workspace.CheckpointHash("run");
        var checkpoints = workspace.At("run/checkpoints");
        string newest = Path.Combine(checkpoints, "step-00000060"), before = Path.Combine(checkpoints, "step-00000040");
        string model = Path.Combine(newest, "model.safetensors"), state = Path.Combine(newest, "state.json");
        var bytes = File.ReadAllBytes(model);
        switch (damage)
        {
            case "truncated": File.WriteAllBytes(model, bytes[..^100]); break;
            case "zeroed": File.WriteAllBytes(model, [.. bytes[..^4000], .. new byte[4000]]); break;
            case "mixed": File.Copy(Path.Combine(before, "model.safetensors"), model, overwrite: true); break;
            case "optimizer": File.Delete(Path.Combine(newest, "optimizer.safetensors")); break;
            case "other step": Step("20"); break;
            case "impossible step": Step("99999999999999999999"); break;
            case "no state": File.Delete(state); break;
            case "empty newer": Directory.CreateDirectory(Path.Combine(checkpoints, "step-99999999")); break;
        }
        var resumed = MoeCommand.Run(["train", "--resume", workspace.At("run")]);
        Assert.Equal(0, resumed.ExitCode);
        if (expected is null) Assert.Equal("", resumed.Error);
        else
        {
            var line = Assert.Single(resumed.Error.TrimEnd('\n').Split('\n'));
            Assert.StartsWith("warning: ", line);
            Assert.Contains("step-00000060 cannot be used", line);
            Assert.Contains(expected, line);
            Assert.Contains("step-00000040 is the newest whole checkpoint and is taken", line);
        }
        Assert.False(Directory.Exists(Path.Combine(checkpoints, "step-99999999")));
        Assert.Equal(whole, workspace.CheckpointHash("run", "step-*"));

        void Step(string step) => File.WriteAllText(state, File.ReadAllText(state).Replace("\"step\": 60", $"\"step\": {step}", StringComparison.Ordinal));
    }

    /// <summary>As many kills as <c>SPARSEEXPERTS_KILLS</c> says, eight otherwise, wherever they come: while it starts, trains, saves, reports.</summary>
    [Fact]
    public void A_run_that_is_killed_again_and_again_ends_with_the_same_bytes()
    {
        using var workspace = new Workspace();
        string[] options = ["--steps", "150", "--checkpoint-every", "10"];
        var clock = Stopwatch.StartNew();
        Assert.Equal(0, MoeCommand.RunAlone(workspace.Tiny("whole", options)).ExitCode);
        var whole = (int)clock.ElapsedMilliseconds;
        var kills = int.Parse(Environment.GetEnvironmentVariable("SPARSEEXPERTS_KILLS") ?? "8", CultureInfo.InvariantCulture);
        var seed = Environment.GetEnvironmentVariable("SPARSEEXPERTS_KILLS") is null ? 5 : Environment.TickCount;
        var random = new Random(seed);
        string[] Call() => File.Exists(workspace.At("run/config.json")) ? ["train", "--resume", workspace.At("run")] : workspace.Tiny("run", options);
        for (var kill = 0; kill < kills; kill++)
        {
            using var process = MoeCommand.Start(Call());
            if (!process.WaitForExit(random.Next(whole)))
            {
                process.Kill();
                process.WaitForExit();
                continue;
            }
            Assert.True(process.ExitCode == 0, $"seed {seed}, kill {kill}: {process.StandardError.ReadToEnd()}");
            Directory.Delete(workspace.At("run"), true);        // it came to its end: from the start again
        }
        var last = MoeCommand.Run(Call());
        Assert.True(last.ExitCode == 0, $"seed {seed}: {last.Error}");
        Assert.DoesNotContain("cannot be used", last.Error);
        Assert.Equal(workspace.CheckpointHash("whole"), workspace.CheckpointHash("run"));
        Assert.All(Directory.GetDirectories(workspace.At("run/checkpoints")), folder => Assert.Matches("step-[0-9]{8}$", folder));
    }

    /// <summary>An evaluation of minutes, which a service manager does not wait for.</summary>
    [Fact]
    public void A_signal_while_the_finished_model_is_measured_leaves_it_saved()
    {
        using var workspace = new Workspace();
        File.WriteAllBytes(workspace.TextPath, [.. Enumerable.Range(0, 120_000_000).Select(i => (byte)(i * 7919 >> 3))]);
        using var process = MoeCommand.StartToBeStopped(workspace.Tiny("run", "--steps", "1"));
        while (!process.HasExited && !Directory.Exists(workspace.At("run/checkpoints/step-00000001"))) process.WaitForExit(20);
        MoeCommand.Signal(process, 15);
        var clock = Stopwatch.StartNew();
        Assert.True(process.WaitForExit(60_000), "it goes on");
        Assert.Equal(143, process.ExitCode);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 10);      // two on a machine that does nothing else
        Assert.Contains("interrupted at step 1 and saved", process.StandardOutput.ReadToEnd());
        Assert.DoesNotContain("held_out", File.ReadAllText(workspace.At("run/metrics.jsonl")));
    }

    [Fact]
    public void A_training_that_cannot_fit_is_refused_with_both_numbers()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.RunAlone(workspace.Tiny("run", "--steps", "1", "--batch", "8192"), ("DOTNET_GCHeapHardLimit", "0x20000000"));
        Assert.Equal(2, result.ExitCode);
        Assert.Matches(@"^moe: batch 8192 of 64: about [67]\.[0-9] GiB of memory are needed, 0\.5 GiB are there; [^\n]*--batch[^\n]*\n$", result.Error);
        Assert.False(Directory.Exists(workspace.At("run")));
    }
}
