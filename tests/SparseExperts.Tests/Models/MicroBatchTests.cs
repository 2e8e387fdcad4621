using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Runs;
using SparseExperts.Sharding;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>A step in micro-batches is the step on the whole batch, to the bit, wherever it is not said to be another.</summary>
public sealed class MicroBatchTests
{
    const int Context = 16, Batch = 8;

    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 6000).Select(i => (byte)(97 + i * i % 23 % 7 + i % 3))], Context);

    static readonly ModelConfig Base = new()
    {
        Width = 16,
        Layers = 2,
        Hidden = 24,
        Experts = 4,
        Context = Context,
        Dropout = 0.1,
        ExpertDropout = 0.1,
    };

    static ModelConfig Model(string name) => name switch
    {
        "dense" => Base with { Experts = 0 },
        "dense, T5 positions, RMSNorm" => Base with { Experts = 0, Positions = Positions.T5Relative, Normalisation = Normalisation.RmsNorm },
        "mesh.switch, a group a sequence" => Base with { Dialect = Strict("mesh.switch") with { GroupSize = -1, CapacityFactor = 0.7 } },
        "hf.mixtral, a group a sequence" => Base with { Dialect = Strict("hf.mixtral") with { GroupSize = -1 } },
        _ => With(Strict(name)),
    };

    /// <summary>With dropout of the experts where their layer has it.</summary>
    static ModelConfig With(Dialect d) =>
        Base with { Dialect = d, ExpertDropout = d.LayerKind() is LayerKind.Soft or LayerKind.TwoLevelCapacity ? 0 : Base.ExpertDropout };

    /// <summary>With auxiliary losses that move the weights.</summary>
    static Dialect Strict(string name) => BuiltIn.Named(name) with { BalanceCoefficient = 0.1 };

    static Trainer Trained(IBackend backend, ModelConfig model, int accumulate, int steps, bool recompute = false, int batch = Batch)
    {
        var training = new TrainingConfig { Batch = batch, Steps = 12, WarmUp = 2, Rate = 1e-2, Accumulate = accumulate, Recompute = recompute };
        var trainer = new Trainer(backend, model, training);
        for (var step = 0; step < steps; step++) Last = trainer.Train(Text, step / 12.0);
        return trainer;
    }

    [ThreadStatic]
    static StepResult? Last;

    [Theory]
    [InlineData("dense")]
    [InlineData("dense, T5 positions, RMSNorm")]
    [InlineData("mesh.switch, a group a sequence")]
    [InlineData("hf.mixtral")]
    [InlineData("hf.mixtral, a group a sequence")]
    [InlineData("hf.deepseek_v3")]
    [InlineData("remoe.relu")]
    [InlineData("clark.rl_r")]
    public void Checkpoints_of_one_two_and_four_micro_batches_are_equal(string name)
    {
        var folder = Directory.CreateTempSubdirectory("micro-");
        try
        {
            string[] files = ["model.safetensors", "optimizer.safetensors", "state.json"];
            byte[][]? expected = null;
            foreach (var (accumulate, recompute) in ((int, bool)[])[(1, false), (2, false), (4, false), (8, true)])
            {
                Assert.Null(BatchWide.Difference(Model(name), Batch, accumulate));
                using var backend = new CpuBackend(1);
                var path = Checkpoint.Save(Trained(backend, Model(name), accumulate, 4, recompute), Path.Combine(folder.FullName, $"{accumulate}"));
                byte[][] actual = [.. files.Select(f => File.ReadAllBytes(Path.Combine(path, f)))];
                expected ??= actual;
                for (var f = 0; f < files.Length; f++)
                    Assert.True(expected[f].AsSpan().SequenceEqual(actual[f]), $"{files[f]} differs with {accumulate} micro-batches");
            }
        }
        finally
        {
            folder.Delete(true);
        }
    }

    public static TheoryData<string> Names() => [.. BuiltIn.All.Where(d => d.IdentityExperts == 0).Select(d => d.Name)];

    /// <summary>Every dialect, as it is and with a group a sequence: what is not said to be different is not.</summary>
    [Theory, MemberData(nameof(Names))]
    public void What_is_said_to_be_the_same_has_the_same_bits(string dialect)
    {
        var d = BuiltIn.Named(dialect);
        // A layer that knows no groups refuses their size.
        var grouped = d with { GroupSize = -1 };
        foreach (var model in (ModelConfig[])[With(d), .. d.LayerKind() is LayerKind.Routed ? [With(grouped)] : Array.Empty<ModelConfig>()])
        {
            if (BatchWide.Refusal(model) is not null)
            {
                using var backend = new CpuBackend(1);
                Assert.Contains("; run it in one", Assert.Throws<ConfigurationException>(() => Trained(backend, model, 4, 1)).Message);
                continue;
            }
            using CpuBackend one = new(1), other = new(1);
            Trainer expected = Trained(one, model, 1, 2), actual = Trained(other, model, 4, 2);
            Assert.Equal(0, actual.Skipped);
            if (BatchWide.Difference(model, Batch, 4) is not null) continue;
            foreach (var (a, b) in expected.Model.Parameters.Zip(actual.Model.Parameters))
                Assert.True(one.ToArray(a.Value).SequenceEqual(other.ToArray(b.Value)), a.Name);
            foreach (var (a, b) in expected.Model.State.Zip(actual.Model.State))
                Assert.True(one.ToArray(a.Value).SequenceEqual(other.ToArray(b.Value)), a.Name);
        }
    }

    [Fact]
    public void Losses_and_reports_are_those_of_the_batch()
    {
        using var backend = new CpuBackend(1);
        var model = Model("hf.mixtral");
        Trained(backend, model, 1, 3);
        var whole = Last!;
        Trained(backend, model, 4, 3);
        var parts = Last!;
        Assert.Equal((whole.Step, whole.BitsPerByte, whole.GradientNorm, whole.Rate), (parts.Step, parts.BitsPerByte, parts.GradientNorm, parts.Rate));
        for (var layer = 0; layer < 2; layer++)
        {
            for (var e = 0; e < 4; e++) Assert.Equal(whole.Loads[layer][e], parts.Loads[layer][e], 1e-12);
            Assert.Equal(whole.Entropies[layer], parts.Entropies[layer], 1e-12);
        }
    }

    /// <summary>The first step's loss shows what is averaged: the default dialect's batch is one group, each micro-batch another.</summary>
    [Fact]
    public void Where_the_batch_is_one_group_each_micro_batch_is_one_and_losses_are_means()
    {
        var model = Base with { Dialect = ModelConfig.DefaultDialect with { CapacityFactor = 100 }, Dropout = 0, ExpertDropout = 0 };
        Assert.Contains("has the batch for one group", BatchWide.Difference(model, Batch, 2));
        using var backend = new CpuBackend(1);
        Trained(backend, model, 1, 1);
        var whole = Last!;
        Trained(backend, model, 2, 1);
        // Nobody is dropped: the text's loss is the same, and balance is asked of halves.
        Assert.Equal(whole.BitsPerByte, Last!.BitsPerByte, 1e-6);
        Assert.NotEqual(whole.GradientNorm, Last!.GradientNorm);
        Assert.Equal(whole.GradientNorm, Last!.GradientNorm, 0.05 * whole.GradientNorm);
    }

    [Fact]
    public void Three_micro_batches_differ_in_the_last_bits_alone()
    {
        var model = Model("dense");
        Assert.Contains("no power of 2", BatchWide.Difference(model, 6, 3));
        using var backend = new CpuBackend(1);
        Trained(backend, model, 1, 1, batch: 6);
        var whole = Last!;
        Trained(backend, model, 3, 1, batch: 6);
        Assert.Equal(whole.BitsPerByte, Last!.BitsPerByte, 1e-6);
        Assert.Equal(whole.GradientNorm, Last!.GradientNorm, 1e-6 * whole.GradientNorm);
    }

    [Theory]
    [InlineData(3, "batch 8 in 3 micro-batches: does not divide; choose one of 1, 2, 4, 8")]
    [InlineData(0, "batch 8 in 0 micro-batches: does not divide; choose one of 1, 2, 4, 8")]
    public void A_number_that_does_not_divide_the_batch_is_refused(int accumulate, string expected)
    {
        using var backend = new CpuBackend(1);
        Assert.Equal(expected, Assert.Throws<ConfigurationException>(() => Trained(backend, Model("dense"), accumulate, 1)).Message);
    }

    [Theory]
    [InlineData("dense")]
    [InlineData("mesh.switch, a group a sequence")]
    [InlineData("hf.mixtral")]
    public void Memory_falls(string name)
    {
        long Peak(int accumulate)
        {
            using var backend = new CountingBackend(new CpuBackend(1));
            var before = Trained(backend, Model(name) with { Layers = 4, Context = 64 }, accumulate, 2, batch: 16);
            return backend.PeakBytes - before.Model.Parameters.Sum(p => 4 * 4 * p.Value.Count);
        }
        long whole = Peak(1), quarter = Peak(4);
        Assert.True(quarter < 0.5 * whole, $"{whole} bytes in one, {quarter} in four");
    }

    [Fact]
    public void What_nobody_has_heard_of_is_an_error_and_no_other_number()
    {
        using var backend = new CpuBackend(1);
        var micro = new MicroBatches(backend, 4, 2);
        micro.Run(0);
        Assert.Equal(6, micro.Total(3));
        micro.Run(1);
        Assert.Throws<InvalidOperationException>(() => micro.Total(4));
        micro.Clear();
        micro.Survey(0);
        micro.Total(3);
        micro.Survey(1);
        micro.Total(4);
        micro.Run(0);
        Assert.Equal(7, micro.Total(3));
        micro.Run(1);
        Assert.Equal(7, micro.Total(4));
    }
}
