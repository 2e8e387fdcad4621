using System.Text.Json.Nodes;
using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using SparseExperts.Scalar;
using SparseExperts.Sharding;
using SparseExperts.Tests.Truth;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.Hub;

/// <summary>Decoders of the hub as models like all others: on any backend, trained, and blind for what follows.</summary>
public sealed class HubModelTests
{
    static HubModel Load(Tape tape, string checkpoint)
    {
        using var folder = HubFolder.Load(Path.Combine(TruthFolder.Part("checkpoints"), checkpoint));
        var source = new HubWeights(folder);
        var model = new HubModel(tape, (HubDecoder)folder.Config, NumberFormat.Float32, source);
        _ = tape.Parameters.Values;
        Assert.Empty(source.Others);
        return model;
    }

    static readonly int[] Ids = [.. Enumerable.Range(0, 2 * 11).Select(i => i * 7 % 59 + 1)];

    [Theory]
    [InlineData("language-models/mixtral-tiny")]
    [InlineData("language-models/deepseek_v3-tiny")]
    [InlineData("sharded/qwen2_moe-3-shards")]
    public void The_processor_has_the_definitions_bits(string checkpoint)
    {
        using var cpu = new CpuBackend();
        using Tape fast = new(cpu), plain = new(new ScalarBackend<Float32>());
        float[] Logits(Tape tape) => tape.Backend.ToArray(Load(tape, checkpoint).Forward(new TokenBatch(Ids, 2), default).Logits.Value);
        Assert.Equal(Logits(plain), Logits(fast));
    }

    [Fact]
    public void A_later_token_changes_no_earlier_logit()
    {
        using var cpu = new CpuBackend();
        using var tape = new Tape(cpu);
        var model = Load(tape, "language-models/mixtral-tiny");
        float[] First(int[] ids) => cpu.ToArray(model.Forward(new TokenBatch(ids, 1), default).Logits.Value)[..(5 * 60)];
        Assert.Equal(First([1, 2, 3, 4, 5, 6]), First([1, 2, 3, 4, 5, 50]));
    }

    [Fact]
    public void Padding_changes_no_logit_of_the_tokens_beside_it()
    {
        using var tape = new Tape(new ScalarBackend<Float64>());
        var model = Load(tape, "language-models/mixtral-tiny");
        double[] Of(HubInputs inputs) => tape.Backend.ToDoubles(model.Forward(inputs, false).Logits.Value);
        var alone = Of(new([7, 8, 9], 1) { Positions = [2, 3, 4] });
        var padded = Of(new([0, 0, 7, 8, 9], 1) { Mask = [0, 0, 1, 1, 1] });
        for (var i = 0; i < alone.Length; i++) Assert.Equal(alone[i], padded[2 * 60 + i], 1e-12);
    }

    /// <summary>Biases are a row an expert and no stack; of those, too, a token meets its own experts' alone.</summary>
    [Theory]
    [InlineData("language-models/mixtral-tiny")]
    [InlineData("bf16/gpt_oss-tiny")]
    public void A_token_meets_a_share_of_all_that_experts_have(string checkpoint)
    {
        using var cpu = new CpuBackend();
        using var tape = new Tape(cpu);
        var model = Load(tape, checkpoint);
        var ofExperts = model.Parameters.Where(p => p.Name.Contains(".experts.", StringComparison.Ordinal)).Sum(p => (long)p.Rows * p.Columns);
        int experts = model.Form.Experts, idle = experts - model.Form.Dialect.K;
        Assert.InRange(idle, 1, experts - 1);
        Assert.Equal(model.ParameterCount - ofExperts / experts * idle, model.ActiveParameterCount);
    }

    /// <summary>Mixtral with auxiliary losses that move the weights.</summary>
    static HubModelConfig Mixtral(double jitter, int layers = 2, NumberFormat format = NumberFormat.Float32)
    {
        var file = Path.Combine(TruthFolder.Part("checkpoints"), "language-models/mixtral-tiny/config.json");
        var config = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        (config["router_jitter_noise"], config["num_hidden_layers"]) = (jitter, layers);
        (config["output_router_logits"], config["router_aux_loss_coef"]) = (true, 0.1);
        return new() { Config = config, Context = 8, Format = format };
    }

    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 2000).Select(i => (byte)(i * i % 59 + 1))], 8);

    static float[][] Trained(HubModelConfig model, int accumulate = 1)
    {
        using var backend = new CpuBackend(1);
        using var trainer = new Trainer(backend, model, new() { Batch = 4, Steps = 3, WarmUp = 1, Rate = 1e-2, Accumulate = accumulate });
        for (var step = 0; step < 2; step++) Assert.False(trainer.Train(Text, step / 3.0).Skipped);
        return [.. trainer.Model.Parameters.Select(p => backend.ToArray(p.Value))];
    }

    /// <summary>Every layer and step draws its own numbers, and a token in a micro-batch those of its place in the batch.</summary>
    [Fact]
    public void A_model_whose_router_is_jittered_is_trained_and_micro_batches_change_no_bit()
    {
        var jittered = Trained(Mixtral(0.2));
        Assert.NotEqual(Trained(Mixtral(0)), jittered);
        Assert.Equal(jittered, Trained(Mixtral(0.2), accumulate: 2));
    }

    /// <summary>As those of a single layer, losses over all layers are rounded as the logits are.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_narrow_model_s_balance_loss_is_a_number_of_its_format(int layers)
    {
        using var cpu = new CpuBackend();
        using var predictor = new Predictor(cpu, Mixtral(0, layers, NumberFormat.BFloat16), 1);
        predictor.Evaluate(new(Ids, 2), (_, tape) =>
        {
            var loss = cpu.ToArray(predictor.Model.Forward(new(Ids, 2), new() { Training = true }).AuxiliaryLoss!.Value)[0];
            Assert.Equal(Rounding.To(NumberFormat.BFloat16, loss), loss);
            return true;
        });
    }

    /// <summary>Those of experts' biases too, which are sums over tokens that several shards have.</summary>
    [Theory]
    [InlineData("language-models/mixtral-tiny")]
    [InlineData("bf16/gpt_oss-tiny")]
    public void Shards_of_a_batch_have_the_gradients_of_the_whole(string checkpoint)
    {
        const int sequences = 4, length = 9;
        int[] ids = [.. Enumerable.Range(0, sequences * length).Select(i => i * i % 59 + 1)];
        Dictionary<string, float[]> Gradients(IShards? shard)
        {
            var (first, count, _) = shard?.Sequences ?? (0, sequences, sequences);
            using var cpu = new CpuBackend(1);
            using var tape = new Tape(cpu, shard);
            var model = Load(tape, checkpoint);
            var own = ids[(first * length)..((first + count) * length)];
            var result = model.Forward(new TokenBatch(own, count), new() { Training = true });
            tape.Backward(tape.SumColumns(tape.CrossEntropy(result.Logits, tape.Upload(own)), 1.0 / ids.Length));
            return model.Parameters.ToDictionary(p => p.Name, p => cpu.ToArray(p.Gradient));
        }
        var whole = Gradients(null);
        foreach (var shard in ThreadShards.Run(sequences, 1, Gradients))
            Assert.All(whole, p => Assert.True(p.Value.AsSpan().SequenceEqual(shard[p.Key]), $"{p.Key} differs"));
    }

    [Fact]
    public void Every_parameter_gets_a_gradient()
    {
        using var cpu = new CpuBackend();
        using var tape = new Tape(cpu);
        var model = Load(tape, "language-models/deepseek_v3-tiny");
        var result = model.Forward(new TokenBatch(Ids, 2), new() { Training = true });
        tape.Backward((result.Logits, result.Logits.Value));
        Assert.All(model.Parameters, p => Assert.True(p.HasGradient, p.Name));
    }
}
