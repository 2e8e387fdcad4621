using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Runs;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>What runs hold of a backend is the backend's again when they are disposed of, a teacher's memory too; their records name their machine.</summary>
public sealed class RunMemoryTests : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("runs-");
    readonly CountingBackend _backend = new(new CpuBackend(1));

    static readonly ModelConfig Model =
        new() { Width = 8, HeadWidth = 8, Layers = 2, Hidden = 8, Experts = 4, Context = 8, Dialect = BuiltIn.Named("mesh.switch") };

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Delete(true);
    }

    string At(string name) => Path.Combine(_folder.FullName, name);

    RunConfig Config()
    {
        File.WriteAllBytes(At("text"), [.. Enumerable.Range(0, 3000).Select(i => (byte)(97 + i * i % 23))]);
        var text = ByteText.Load(At("text"), Model.Context);
        return new()
        {
            Preset = "none",
            Model = Model,
            Training = new() { Batch = 2, Steps = 2, WarmUp = 1 },
            Text = text.Path,
            TextBytes = text.Length,
            TextHash = text.Hash,
            Backend = "cuda",
            Precision = Precision.Bf16,
            Threads = 7,
            CheckpointEvery = 1,
        };
    }

    RunData Data(RunConfig config) => RunData.Of(config.Data, ByteText.Load(config.Text, Model.Context), config.Model, null, null);

    static void Execute(TrainingRun run) => Assert.Equal(RunOutcome.Finished, run.Execute(_ => { }, _ => { }, default));

    [Fact]
    public void Runs_give_their_memory_back_and_a_teacher_is_held_once()
    {
        var config = Config();
        using (var run = TrainingRun.Create(At("sparse"), config, _backend, Data(config), force: false)) Execute(run);
        Assert.Equal(0, _backend.LiveBytes);

        var student = DenseStudent.Config(At("sparse"), config, config.Training, 0.25, "cpu", 1);
        using (var run = TrainingRun.Create(At("own"), student, _backend, Data(student), force: false)) Execute(run);
        Assert.Equal(0, _backend.LiveBytes);
        using (var run = TrainingRun.Resume(At("own"), _ => _backend)) Assert.True(_backend.LiveBytes > 0);
        Assert.Equal(0, _backend.LiveBytes);

        using (var teacher = TrainingRun.Open(At("sparse"), _ => _backend))
        {
            var before = _backend.LiveBytes;
            long Held(TrainedRun? given)
            {
                using var run = TrainingRun.Create(At("given"), student, _backend, Data(student), force: true, teacher: given);
                return _backend.LiveBytes;
            }
            Assert.Equal(before, Held(null) - Held(teacher));
            Assert.Equal(before, _backend.LiveBytes);
        }
        Assert.Equal(0, _backend.LiveBytes);
    }

    [Fact]
    public void A_run_that_cannot_be_opened_leaves_nothing_behind()
    {
        var config = Config();
        void Begin() => TrainingRun.Create(At("run"), config, _backend, Data(config), force: true, _ => throw new InvalidOperationException("begun wrongly"));
        Assert.Throws<InvalidOperationException>(Begin);
        Assert.Equal(0, _backend.LiveBytes);
        using (var run = TrainingRun.Create(At("run"), config, _backend, Data(config), force: true)) Execute(run);
        foreach (var file in Directory.EnumerateFiles(At("run"), "model.safetensors", SearchOption.AllDirectories)) File.WriteAllText(file, "damaged");
        Assert.ThrowsAny<Exception>(() => TrainingRun.Open(At("run"), _ => _backend));
        Assert.Equal(0, _backend.LiveBytes);
        Assert.ThrowsAny<Exception>(() => TrainingRun.Resume(At("run"), _ => _backend));
        Assert.Equal(0, _backend.LiveBytes);
    }

    [Fact]
    public void A_student_s_record_names_the_machine_that_it_learns_on()
    {
        var config = Config();
        foreach (var share in (double?[])[0.25, null])
        {
            var student = DenseStudent.Config(At("sparse"), config, config.Training, share, "cpu", 2);
            Assert.Equal(("cpu", Precision.Exact, 2), (student.Backend, student.Precision, student.Threads));
        }
    }

    sealed class OwnMemory(IBackend inner) : Conformance.DelegatingBackend(inner)
    {
        public override BackendInfo Info => base.Info with { Name = "other", HasOwnMemory = true };
    }

    /// <summary>The host's memory bounds what lies in the host's memory, whatever a backend is called.</summary>
    [Fact]
    public void A_device_s_model_is_not_measured_by_the_host_s_memory()
    {
        Assert.Throws<ConfigurationException>(() => MemoryEstimate.RequireModel("huge", 1L << 50, _backend));
        MemoryEstimate.RequireModel("huge", 1L << 50, new OwnMemory(_backend));
    }
}
