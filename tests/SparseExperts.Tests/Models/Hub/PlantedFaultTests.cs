using System.Text.Json.Nodes;
using SparseExperts.Checking;
using SparseExperts.Hub;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.Models.Hub;

/// <summary>
/// Faults planted in one block of a model that is computed in float32: the check finds the block, and names the fault. What is recorded is the residual stream
/// alone, so that not even gates give it away; small faults show that the bounds are not empty.
/// </summary>
public sealed class PlantedFaultTests
{
    [Theory]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "rotary base 10000 in place of 1e6")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "rotary positions in pairs in place of halves")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "norm epsilon 1e-6 in place of 1e-5")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "attention scale forgotten: 1 in place of 0.408248")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "k and v exchanged in the self-attention of layer 0")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "padding mask ignored")]
    [InlineData("language-models/mixtral-tiny", "layers.1.self_attn", "layer 0's matrices in layer 1")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "gates of the chosen experts not divided by their sum")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "experts 1 and 3 exchanged in layer 0")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "gate and up projections of the experts exchanged in layer 0")]
    [InlineData("language-models/mixtral-tiny", "layers.1.mlp", "norm epsilon 1e-6 in place of 1e-5")]
    [InlineData("language-models/mixtral-tiny", "layers.1.mlp", "residual skipped: the feed-forward's output alone goes on")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "rotary base 20000 in place of 1e6")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "mean subtracted in input_layernorm of layer 0, which is a norm of squares")]
    [InlineData("language-models/mixtral-tiny", "layers.0.self_attn", "residual taken behind the norm of attention")]
    [InlineData("language-models/mixtral-tiny", "layers.1.self_attn", "layer 0's o_proj in layer 1")]
    [InlineData("language-models/mixtral-tiny", "layers.1.mlp", "layer 0's experts in layer 1")]
    [InlineData("language-models/mixtral-tiny", "layers.1.mlp", "layer 0's router in layer 1")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "gate_proj and up_proj of expert 1 exchanged in layer 0")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "expert 2 of layer 0 computes with the matrices of expert 1")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "down_proj of experts 0 and 1 exchanged in layer 0")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "expert 3 of layer 0 adds nothing")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "top 3 in place of top 2")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "the 2 experts of a token averaged in place of added")]
    [InlineData("language-models/mixtral-tiny", "layers.0.mlp", "the router reads the stream in place of its norm")]
    [InlineData("language-models/deepseek_v3-tiny", "layers.1.mlp", "scaling factor 2.5 of the gates on the shared expert too")]
    [InlineData("language-models/mixtral-tiny", "lm_head", "head tied to the embedding, which it is not")]
    [InlineData("language-models/deepseek_v3-tiny", "layers.0.self_attn", "rotary positions in halves in place of pairs")]
    [InlineData("language-models/deepseek_v3-tiny", "layers.0.self_attn", "norm epsilon 1e-5 in place of 1e-6")]
    [InlineData("language-models/deepseek_v3-tiny", "layers.1.mlp", "correction bias ignored")]
    [InlineData("language-models/deepseek_v3-tiny", "layers.1.mlp", "group limit ignored")]
    [InlineData("sharded/qwen2_moe-3-shards", "layers.0.mlp", "gate of the shared expert forgotten in layer 0")]
    [InlineData("bf16/gpt_oss-tiny", "layers.0.self_attn", "sliding window ignored")]
    [InlineData("bf16/gpt_oss-tiny", "layers.1.self_attn", "sinks of layer 1 ignored")]
    [InlineData("bf16/gpt_oss-tiny", "layers.0.mlp", "biases of the experts of layer 0 forgotten")]
    public void A_fault_is_found_at_its_block_and_named(string checkpoint, string block, string sentence)
    {
        var path = Path.Combine(TruthFolder.Part("checkpoints"), checkpoint);
        using var folder = HubFolder.Load(path);
        var given = Recording.Load(Path.Combine(path, "io.safetensors"));
        var planted = Computed(CheckedModels.Of(folder, given, () => new ScalarBackend<Float32>()), given, block, sentence);
        ICheckedModel right = CheckedModels.Of(folder, given, () => new ScalarBackend<Tracked>());
        ICheckedModel disturbed = CheckedModels.Of(folder, given, () => new ScalarBackend<Disturbed>());

        var verdict = ModelCheck.Activations(right, disturbed, planted);

        Assert.Equal(block, verdict.First?.Name);
        Assert.Equal(sentence, verdict.Cause);
    }

    /// <summary>Among the rules that are tried are those that so few experts cannot have: they are passed over, and the block is named all the same.</summary>
    [Theory]
    [InlineData("language-models/mixtral-tiny")]
    [InlineData("sharded/qwen2_moe-3-shards")]
    public void A_fault_that_is_no_usual_one_has_a_block_and_no_cause(string checkpoint)
    {
        var path = Path.Combine(TruthFolder.Part("checkpoints"), checkpoint);
        using var folder = HubFolder.Load(path);
        var given = Recording.Load(Path.Combine(path, "io.safetensors"));
        var right = Computed(CheckedModels.Of(folder, given, () => new ScalarBackend<Float32>()), given, null, null);
        string[] names = ["block.layers.0.mlp.out", "hidden_states.1", "block.layers.1.self_attn.in"];
        var planted = right.With(names.Select(right.Get).Select(t => t with { Values = Array.ConvertAll(t.Values, v => 1.01 * v) }));
        var verdict = ModelCheck.Activations(CheckedModels.Of(folder, planted, () => new ScalarBackend<Tracked>()),
            CheckedModels.Of(folder, planted, () => new ScalarBackend<Disturbed>()), planted);
        Assert.Equal(("layers.0.mlp", null), (verdict.First?.Name, verdict.Cause));
    }

    /// <summary>rope_scaling null: plain positions in transformers 4, and in 5 the default of the class, which is what an absent key is in both.</summary>
    [Fact]
    public void Positions_that_transformers_5_puts_where_none_are_scaled_are_named()
    {
        var path = Path.Combine(TruthFolder.Part("checkpoints"), "bf16/gpt_oss-tiny");
        var copies = Directory.CreateTempSubdirectory("gpt_oss-");
        try
        {
            using HubFolder plain = Copy("plain", said: true), five = Copy("five", said: false);
            var given = Recording.Load(Path.Combine(path, "io.safetensors"));
            var recorded = Computed(CheckedModels.Of(five, given, () => new ScalarBackend<Float32>()), given, null, null);
            var backends = new CheckBackends(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());
            var verdict = CheckedModels.Activations(plain, recorded, backends);
            Assert.Equal("layers.0.self_attn", verdict.First?.Name);
            Assert.Equal("positions of YaRN with factor 32, which transformers 5 takes where rope_scaling is null", verdict.Cause);
            Assert.Equal(Outcome.Agrees, CheckedModels.Activations(five, recorded, backends).Outcome);

            // The same of a loss alone, in float32.
            CaseTensor Loss(double value) => new("loss", "F32", [1], [value]);
            var batch = Recording.Of("backward", Inputs.Select(given.Get))
                .With(given.Get("input_ids") with { Name = "labels" }, new CaseTensor("hidden_states.0", "F32", [1], [0]), Loss(0));
            var model = CheckedModels.Of(five, batch, () => new ScalarBackend<Float64>());
            var loss = model.Tape.Backend.ToDoubles(Assert.Single(model.Losses(batch)).Value.Value)[0];
            var backward = batch.With(Loss(loss));
            var departs = GradientCheck.Run(plain, backward, null, backends);
            Assert.Equal(("loss", verdict.Cause), (departs.First?.Name, departs.Cause));
            Assert.Equal(Outcome.Agrees, GradientCheck.Run(five, backward, null, backends).Outcome);
            var wrong = backward.With(Loss(loss + 0.5));
            Assert.Null(GradientCheck.Run(plain, wrong, null, backends).Cause);
        }
        finally
        {
            copies.Delete(recursive: true);
        }

        HubFolder Copy(string name, bool said)
        {
            var folder = copies.CreateSubdirectory(name).FullName;
            File.Copy(Path.Combine(path, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(path, "config.json")))!.AsObject();
            json.Remove("rope_parameters");
            json["rope_theta"] = 150000;
            if (said) json["rope_scaling"] = null;
            File.WriteAllText(Path.Combine(folder, "config.json"), json.ToJsonString());
            return HubFolder.Load(folder);
        }
    }

    [Theory]
    [InlineData("language-models/mixtral-tiny")]
    [InlineData("bf16/gpt_oss-tiny")]
    public void A_model_without_a_fault_agrees(string checkpoint)
    {
        var path = Path.Combine(TruthFolder.Part("checkpoints"), checkpoint);
        using var folder = HubFolder.Load(path);
        var given = Recording.Load(Path.Combine(path, "io.safetensors"));
        var planted = Computed(CheckedModels.Of(folder, given, () => new ScalarBackend<Float32>()), given, null, null);
        var backends = new CheckBackends(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());
        Assert.Equal(Outcome.Agrees, CheckedModels.Activations(folder, planted, backends).Outcome);
    }

    static readonly string[] Inputs = ["input_ids", "attention_mask"];

    /// <summary>The residual stream behind every block, one with a fault, in the format of the recording.</summary>
    static Recording Computed(ICheckedModel model, Recording given, string? faulty, string? sentence)
    {
        var recording = Recording.Of("planted", Inputs.Select(given.Get));
        var (shape, dtype) = (given.Get("input_ids").Shape, given.Get("logits").DType);
        foreach (var block in model.Blocks)
        {
            var run = new BlockRun(model.Tape, recording, new Dictionary<string, Numbers>());
            model.Tape.Recording = false;
            (block.Name == faulty ? block.Faults(recording).First(f => f.Sentence == sentence).Run : block.Run)(run);
            model.Tape.Reset();
            recording = recording.With(run.Outputs.Select(o => Tensor(o.Key, o.Value.Values)));
        }
        return recording;

        CaseTensor Tensor(string name, double[] values) => new(name, dtype, [.. shape, values.Length / (shape[0] * shape[1])], values);
    }
}
