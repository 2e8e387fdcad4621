using System.Diagnostics;
using SparseExperts.Runs;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>One writer a run folder, and what happens when the folder goes away under it.</summary>
public sealed class RunLockTests : IDisposable
{
    readonly Workspace _workspace = new();
    readonly Process _writer;

    public RunLockTests()
    {
        _writer = MoeCommand.Start(_workspace.Tiny("run", "--steps", "1000000", "--checkpoint-every", "20"));
        var checkpoints = _workspace.At("run/checkpoints");
        while (!_writer.HasExited && !(Directory.Exists(checkpoints) && Directory.GetDirectories(checkpoints, "step-*").Length > 0)) _writer.WaitForExit(20);
        Assert.False(_writer.HasExited, "the run ended by itself");
    }

    [Fact]
    public void A_second_writer_is_refused_with_the_firsts_number_and_a_kill_frees_the_folder()
    {
        var config = File.ReadAllText(_workspace.At("run/config.json"));
        foreach (var call in (string[][])[["train", "--resume", _workspace.At("run")], _workspace.Tiny("run", "--steps", "3", "--seed", "9", "--force")])
        {
            var second = MoeCommand.Run(call);
            Assert.Equal(2, second.ExitCode);
            Assert.Contains($"process {_writer.Id} is writing this run", Assert.Single(second.Error.TrimEnd('\n').Split('\n')));
        }
        Assert.Equal(config, File.ReadAllText(_workspace.At("run/config.json")));
        Assert.Equal(0, MoeCommand.Run(["evaluate", _workspace.At("run")]).ExitCode);
        Assert.False(_writer.HasExited);
        Assert.Throws<RunException>(() => RunLock.Take(_workspace.At("run")));
        _writer.Kill();
        _writer.WaitForExit();
        using var taken = RunLock.Take(_workspace.At("run"));
        Assert.Contains($"process {Environment.ProcessId} ", Assert.Throws<RunException>(() => RunLock.Take(_workspace.At("run"))).Message);
    }

    [Theory]
    [InlineData("run/config.json")]
    [InlineData("run")]
    public void A_run_whose_folder_goes_away_does_not_say_that_it_finished(string what)
    {
        if (File.Exists(_workspace.At(what))) File.Delete(_workspace.At(what));
        else DeleteUnderAWriter(_workspace.At(what));
        Assert.True(_writer.WaitForExit(60_000));
        Assert.Equal(2, _writer.ExitCode);
        Assert.Matches("^moe: [^\n]*run[^\n]*\n$", _writer.StandardError.ReadToEnd());
    }

    /// <summary>The writer may make a file between the listing and the removal.</summary>
    static void DeleteUnderAWriter(string folder)
    {
        for (var again = true; again;)
            try
            {
                if (Directory.Exists(folder)) Directory.Delete(folder, true);
                again = false;
            }
            catch (IOException)
            {
                Thread.Sleep(5);
            }
    }

    public void Dispose()
    {
        if (!_writer.HasExited) _writer.Kill();
        _writer.WaitForExit();
        _writer.Dispose();
        _workspace.Dispose();
    }
}
