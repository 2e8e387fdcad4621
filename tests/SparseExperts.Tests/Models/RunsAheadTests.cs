using SparseExperts.Conformance;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Runs;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>A run on a device that it goes ahead of: what it logs, saves and profiles is that of a run that waits for every step.</summary>
public sealed class RunsAheadTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("runs-ahead-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    /// <summary>A device, as far as a run can tell.</summary>
    sealed class Device(IBackend inner) : DelegatingBackend(inner)
    {
        public override BackendInfo Info => base.Info with { HasOwnMemory = true };
    }

    /// <summary>Bytes of the last checkpoint, lines of the log without their times, and the steps of the profile.</summary>
    (string[] Saved, string[] Logged, long? Steps) Run(string name, IBackend backend)
    {
        var path = Path.Combine(_folder, "text");
        File.WriteAllBytes(path, [.. Enumerable.Range(0, 6000).Select(i => (byte)(i * i % 97))]);
        var text = ByteText.Load(path, 16);
        var config = new RunConfig
        {
            Preset = "none",
            Text = path,
            TextBytes = text.Length,
            TextHash = text.Hash,
            Backend = "cpu",
            Threads = 1,
            Model = new ModelConfig { Context = 16, Width = 16, HeadWidth = 8, Layers = 1, Hidden = 16, Experts = 0 },
            Training = new() { Batch = 2, Steps = 47, WarmUp = 2, Rate = 1e-2 },
            CheckpointEvery = 25,
        };
        using var counter = new CountingBackend(backend);
        var folder = Path.Combine(_folder, name);
        var data = RunData.Of(config.Data, text, config.Model, null, null);
        List<string> logged = [];
        using var run = TrainingRun.Create(folder, config, counter, data, force: false);
        var profiler = new TrainingProfiler(counter, run);
        void Log(MetricsLine line) => logged.Add($"{line.Step} {line.TrainBitsPerByte:R} {line.GradientNorm:R} {line.HeldOutBitsPerByte:R} {line.Skipped}");
        Assert.Equal(RunOutcome.Finished, run.Execute(profiler.Watch, Log, default));
        string[] saved = [.. Directory.EnumerateFiles(TrainingRun.CheckpointFolder(folder), "*.safetensors", SearchOption.AllDirectories).Order()];
        return ([.. saved.Select(f => $"{Path.GetRelativePath(folder, f)} {Convert.ToHexString(File.ReadAllBytes(f))}")], [.. logged], profiler.Take()?.Steps);
    }

    [Fact]
    public void A_run_that_goes_ahead_logs_and_saves_what_one_that_waits_does()
    {
        var waiting = Run("waiting", new CpuBackend(1));
        var ahead = Run("ahead", new Device(new CpuBackend(1)));
        Assert.Equal(4, waiting.Saved.Length);
        Assert.Equal(waiting.Saved, ahead.Saved);
        Assert.Equal(waiting.Logged, ahead.Logged);
        Assert.Equal((46, 46), (waiting.Steps, ahead.Steps));         // the first is left out
    }
}
