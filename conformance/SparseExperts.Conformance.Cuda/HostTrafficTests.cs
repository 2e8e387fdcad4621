using System.Text.Json.Nodes;
using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>A step on a device that plans by itself waits for nothing, and its report for all steps at once.</summary>
public sealed class HostTrafficTests
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * i / 7 % 97))], 32);

    static ModelConfig Model(string name, int every = 1) => new()
    {
        Context = 32,
        Width = 16,
        HeadWidth = 8,
        Layers = 2,
        Hidden = 24,
        Experts = 8,
        SparseEvery = every,
        Dialect = BuiltIn.Named(name),
        ExpertDropout = BuiltIn.Named(name).Selection == Selection.ExpertChoice ? 0 : 0.1,
    };

    static readonly TrainingConfig Training = new() { Batch = 2, Steps = 20, WarmUp = 2, Rate = 1e-2 };

    [Theory]
    [InlineData("mesh.switch", Precision.Exact, 132)]
    [InlineData("hf.mixtral", Precision.Exact, 132)]
    [InlineData("hf.deepseek_v3", Precision.Exact, 132)]
    [InlineData("mesh.switch", Precision.F32, 1)]
    [InlineData("mesh.switch", Precision.Tf32, 1)]
    [InlineData("mesh.switch", Precision.Bf16, 132)]
    [InlineData("hf.mixtral", Precision.Tf32, 1)]
    [InlineData("hf.deepseek_v3", Precision.Bf16, 1)]
    [InlineData("megatron.topk", Precision.Exact, 132)]
    [InlineData("flax.tokens_choose_masked", Precision.Exact, 132)]
    [InlineData("flax.tokens_choose_scatter", Precision.Exact, 132)]
    [InlineData("flax.experts_choose", Precision.Exact, 132)]
    [InlineData("zhou.expert_choice", Precision.Exact, 132)]
    [InlineData("zhou.expert_choice", Precision.Tf32, 1)]
    [InlineData("lingvo.top2", Precision.Exact, 132)]
    [InlineData("lingvo.top2", Precision.Bf16, 1)]
    [InlineData("mesh.top_2", Precision.Exact, 132)]
    [InlineData("lepikhin.gshard", Precision.F32, 132)]
    public void A_steady_step_reads_nothing(string name, Precision precision, int multiprocessors) =>
        ReadsNothing(Model(name), precision, multiprocessors);

    /// <summary>A decoder of the hub whose experts' projections have biases, a row for every expert.</summary>
    static HubModelConfig WithBiases => new()
    {
        Context = 32,
        Config = JsonNode.Parse("""
            {
                "model_type": "gpt_oss", "vocab_size": 256, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "head_dim": 8,
                "num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 5,
                "max_position_embeddings": 128
            }
            """)!.AsObject(),
    };

    [Theory]
    [InlineData(Precision.Exact)]
    [InlineData(Precision.Tf32)]
    public void Experts_biases_find_their_rows_on_the_device(Precision precision) => ReadsNothing(WithBiases, precision, 1);

    static void ReadsNothing(IModelConfig model, Precision precision, int multiprocessors)
    {
        using var driver = new EmulatedDriver(CudaFixture.Large with { Multiprocessors = multiprocessors });
        using var backend = new CountingBackend(new CudaBackend(driver, precision: precision));
        var trainer = new Trainer(backend, model, Training);
        var batches = new ByteBatches(Text, Training.Seed, Training.Batch, model);
        trainer.Advance(batches, 0.1);
        backend.Clear();
        var before = driver.Counters.Waits;
        for (var step = 0; step < 2; step++) trainer.Advance(batches, 0.1);
        Assert.Equal(0, driver.Counters.Waits - before);
        Assert.DoesNotContain(backend.Calls, c => c.Key.Kernel is "Read" or "ReadErrors");
        Assert.Equal(3, trainer.Settle().Count);
        Assert.Equal(2, driver.Counters.Waits - before);                    // for the steps' numbers, and whether an index was wrong
        Assert.All(backend.Calls.Where(c => c.Key.Kernel is "Read" or "ReadErrors"), r => Assert.Equal(Activity.Report, r.Key.Activity));
        Assert.Contains(backend.Calls, c => c.Key is { Kernel: "Plan", Activity: Activity.Plan });
    }

    /// <summary>Steps with reports between them, a held-out evaluation, activations computed again: the numbers are the processor's.</summary>
    [Theory]
    [InlineData("mesh.switch", false)]
    [InlineData("hf.mixtral", false)]
    [InlineData("hf.deepseek_v3", false)]
    [InlineData("hf.deepseek_v3", true)]
    [InlineData("zhou.expert_choice", false)]
    [InlineData("mesh.top_2", true)]
    public void Twenty_steps_have_the_processor_s_bits(string name, bool recomputes) => HaveTheSameBits(Model(name), recomputes);

    [Fact]
    public void Experts_biases_have_the_processor_s_bits() => HaveTheSameBits(WithBiases, false);

    static void HaveTheSameBits(IModelConfig model, bool recomputes)
    {
        using var cpu = new CpuBackend();
        using var gpu = new CudaBackend(new EmulatedDriver(CudaFixture.Large));
        Trainer Trainer(IBackend backend) => new(backend, model, Training with { Recompute = recomputes });
        Trainer expected = Trainer(cpu), actual = Trainer(gpu);
        for (var step = 0; step < 20; step++)
        {
            var (one, other) = (expected.Train(Text, step / 20.0, step % 5 == 0), actual.Train(Text, step / 20.0, step % 5 == 0));
            Assert.Equal(one.BitsPerByte, other.BitsPerByte);
            Assert.Equal(one.DropRates, other.DropRates);
            Assert.Equal(one.Loads, other.Loads);
        }
        Assert.Equal(Evaluation.Run(expected, Text.HeldOut, 4), Evaluation.Run(actual, Text.HeldOut, 4));
        foreach (var (one, other) in expected.Model.Parameters.Zip(actual.Model.Parameters)) Assert.Equal(cpu.ToArray(one.Value), gpu.ToArray(other.Value));
        foreach (var (one, other) in expected.Model.State.Zip(actual.Model.State)) Assert.Equal(cpu.ToArray(one.Value), gpu.ToArray(other.Value));
    }
}
