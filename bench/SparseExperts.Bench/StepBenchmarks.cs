using BenchmarkDotNet.Attributes;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>One training step of the presets: forward, backward, clipping, update.</summary>
[MemoryDiagnoser]
public class StepBenchmarks
{
    CpuBackend _backend = null!;
    Trainer _trainer = null!;
    ByteText _text = null!;

    [Params("tiny", "default", "small")]
    public string Preset { get; set; } = "";

    [Params(1, 2)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var preset = Presets.Find(Preset);
        _backend = new CpuBackend(Threads);
        _trainer = new Trainer(_backend, preset.Model, preset.Training);
        _text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), preset.Model.Context);
    }

    [Benchmark]
    public StepResult Step() => _trainer.Train(_text, 0.5, details: false);

    [GlobalCleanup]
    public void Cleanup() => _backend.Dispose();
}
