using Xunit;

namespace SparseExperts.Tests.EndToEnd;

public sealed class ReproducibilityTests
{
    static readonly string[] Twenty = ["--steps", "20", "--batch", "4", "--context", "32"];

    static readonly Lazy<string> Expected = new(() =>
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.RunAlone(workspace.Tiny("run", [.. Twenty, "--threads", "1"])).ExitCode);
        return workspace.CheckpointHash("run");
    });

    [Fact]
    public void Twenty_steps_give_the_same_checkpoint_on_two_threads()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", [.. Twenty, "--threads", "2"])).ExitCode);
        Assert.Equal(Expected.Value, workspace.CheckpointHash("run"));
    }

    [Theory]
    [InlineData("DOTNET_EnableAVX512", "AVX2")]
    [InlineData("DOTNET_EnableAVX2", "128-bit")]
    [InlineData("DOTNET_EnableHWIntrinsic", "scalar")]
    public void Twenty_steps_give_the_same_checkpoint_at_every_SIMD_level(string variable, string level)
    {
        using var workspace = new Workspace();
        var trained = MoeCommand.RunAlone(workspace.Tiny("run", Twenty), (variable, "0"));
        Assert.Equal(0, trained.ExitCode);
        Assert.Contains($"CPU, {level}, ", trained.Output);
        Assert.Equal(Expected.Value, workspace.CheckpointHash("run"));
    }

    [Fact]
    public void The_scalar_definition_trains_to_the_same_checkpoint()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", [.. Twenty, "--backend", "scalar"])).ExitCode);
        Assert.Equal(Expected.Value, workspace.CheckpointHash("run"));
    }

    [Fact]
    public void A_killed_run_resumes_to_the_bytes_of_an_uninterrupted_one()
    {
        using var workspace = new Workspace();
        string[] options = ["--steps", "200", "--checkpoint-every", "20"];
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("whole", options)).ExitCode);
        using (var process = MoeCommand.Start(workspace.Tiny("killed", options)))
        {
            WaitForCheckpoint(workspace, "killed", process);
            process.Kill();
            process.WaitForExit();
        }
        Assert.Equal(0, MoeCommand.Run(["train", "--resume", workspace.At("killed")]).ExitCode);
        Assert.Equal(workspace.CheckpointHash("whole"), workspace.CheckpointHash("killed"));
        var steps = File.ReadLines(workspace.At("killed/metrics.jsonl")).Count(l => l.Contains("\"step\":200,"));
        var whole = File.ReadLines(workspace.At("whole/metrics.jsonl")).Count(l => l.Contains("\"step\":200,"));
        Assert.Equal(whole, steps);
    }

    [Fact]
    public void An_interrupt_saves_exits_with_130_and_can_be_resumed()
    {
        using var workspace = new Workspace();
        string[] options = ["--steps", "200", "--checkpoint-every", "20"];
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("whole", options)).ExitCode);
        using (var process = MoeCommand.StartToBeStopped(workspace.Tiny("stopped", options)))
        {
            WaitForCheckpoint(workspace, "stopped", process);
            MoeCommand.Interrupt(process);
            process.WaitForExit();
            Assert.Equal(130, process.ExitCode);
        }
        Assert.Equal(0, MoeCommand.Run(["train", "--resume", workspace.At("stopped")]).ExitCode);
        Assert.Equal(workspace.CheckpointHash("whole"), workspace.CheckpointHash("stopped"));
    }

    /// <summary>SIGHUP and SIGTERM, as a terminal that closes and a service manager send them.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    public void A_signal_saves_and_exits_with_128_and_its_number(int signal)
    {
        using var workspace = new Workspace();
        using var process = MoeCommand.StartToBeStopped(workspace.Tiny("stopped", "--steps", "200", "--checkpoint-every", "20"));
        WaitForCheckpoint(workspace, "stopped", process);
        MoeCommand.Signal(process, signal);
        process.WaitForExit();
        Assert.Equal(128 + signal, process.ExitCode);
        Assert.Equal(0, MoeCommand.Run(["evaluate", workspace.At("stopped")]).ExitCode);
    }

    /// <summary>Returns as soon as a first checkpoint stands; the folder watcher wakes at every rename.</summary>
    static void WaitForCheckpoint(Workspace workspace, string run, System.Diagnostics.Process process)
    {
        var folder = workspace.At($"{run}/checkpoints");
        while (!process.HasExited && !(Directory.Exists(folder) && Directory.GetDirectories(folder, "step-*").Length > 0)) process.WaitForExit(5);
        Assert.False(process.HasExited, "the run ended before it could be stopped");
    }
}
