using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.Hub;

public sealed class HubConfigTests
{
    static HubDecoder Read(string json) => (HubDecoder)HubConfig.Parse(json, "config.json");

    static JsonObject Of(string folder) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(TruthFolder.Part("checkpoints"), folder, "config.json")))!.AsObject();

    [Theory]
    [InlineData("""{ "model_type": "mixtral" }""", 4096, 32, 8, 128, 14336, 32000, 1e6, 1e-5)]
    [InlineData("""{ "model_type": "qwen3_moe" }""", 2048, 32, 4, 64, 768, 151936, 1e4, 1e-6)]
    [InlineData("""{ "model_type": "deepseek_v3" }""", 7168, 128, 128, 192, 2048, 129280, 1e4, 1e-6)]
    [InlineData("""{ "model_type": "gpt_oss" }""", 2880, 64, 8, 64, 2880, 201088, 150000, 1e-5)]
    [InlineData("""{ "model_type": "glm4_moe" }""", 4096, 96, 8, 42, 1408, 151552, 1e4, 1e-5)]
    public void A_key_that_is_absent_has_the_default_of_the_library(
        string json, int width, int heads, int keyValueHeads, int head, int hidden, int vocabulary, double theta, double epsilon)
    {
        var config = Read(json.Contains("glm4", StringComparison.Ordinal) ? json.Replace("}", ", \"head_dim\": 42, \"partial_rotary_factor\": 1 }") : json);
        Assert.Equal((width, heads, keyValueHeads, head, hidden, vocabulary),
            (config.Width, config.Heads, config.KeyValueHeads, config.HeadWidth, config.ExpertHidden, config.Vocabulary));
        Assert.Equal((theta, epsilon), (config.Layers[0].Rotary!.Theta, config.NormEpsilon));
    }

    [Fact]
    public void Rotary_settings_are_read_in_both_forms()
    {
        var old = Read("""{ "model_type": "mixtral", "rope_theta": 5e5, "rope_scaling": { "type": "linear", "factor": 2.0 } }""");
        var now = Read("""{ "model_type": "mixtral", "rope_parameters": { "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 } }""");
        Assert.Equal(old.Layers, now.Layers);
        Assert.Equal((5e5, 2.0, RotaryScaling.Linear), (now.Layers[0].Rotary!.Theta, now.Layers[0].Rotary!.Factor, now.Layers[0].Rotary!.Scaling));
    }

    [Fact]
    public void Gpt_oss_has_yarn_where_nothing_is_said_and_plain_positions_where_null_is()
    {
        var absent = Read("""{ "model_type": "gpt_oss" }""").Layers[0].Rotary!;
        Assert.Equal((RotaryScaling.Yarn, 32, false, 4096), (absent.Scaling, absent.Factor, absent.Truncate, absent.OriginalPositions));
        Assert.Equal(0.1 * Math.Log(32) + 1, absent.AttentionFactor, 1e-15);
        Assert.Equal(RotaryScaling.None, Read("""{ "model_type": "gpt_oss", "rope_scaling": null }""").Layers[0].Rotary!.Scaling);
        Assert.Equal([AttentionReach.Sliding, AttentionReach.Full], Read("""{ "model_type": "gpt_oss" }""").Layers.Take(2).Select(l => l.Reach));
    }

    [Fact]
    public void Deepseeks_softmax_scale_grows_with_yarn()
    {
        const string yarn = """{ "type": "yarn", "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096 }""";
        var (v3, v2) = (Read($$"""{ "model_type": "deepseek_v3", "rope_scaling": {{yarn}} }"""),
            Read($$"""{ "model_type": "deepseek_v2", "rope_scaling": {{yarn}}, "num_experts_per_tok": 6 }"""));
        var growth = 0.1 * Math.Log(40) + 1;
        Assert.Equal(growth * growth / Math.Sqrt(192), v3.AttentionScale, 1e-15);
        Assert.Equal(1 / Math.Sqrt(192), v2.AttentionScale, 1e-15);
        Assert.Equal(1, v3.Layers[0].Rotary!.AttentionFactor);
    }

    [Theory]
    [InlineData("""{ "model_type": "mixtral", "window_of_opportunity": 5 }""", "window_of_opportunity is 5; nothing of mixtral")]
    [InlineData("""{ "model_type": "mixtral", "router_temperature": 2 }""", "router_temperature is 2; nothing in this type's rule reads it")]
    [InlineData("""{ "model_type": "mixtral", "hidden_act": "xielu" }""", "hidden_act")]
    [InlineData("""{ "model_type": "mixtral", "hidden_size": "wide" }""", "hidden_size is \"wide\"; give a whole number")]
    [InlineData("""{ "model_type": "mixtral", "num_key_value_heads": 5 }""", "num_attention_heads 32 is no multiple of num_key_value_heads 5")]
    [InlineData("""{ "model_type": "mixtral", "rope_scaling": { "type": "longrope" } }""", "rope_scaling.rope_type is \"longrope\"")]
    [InlineData("""{ "model_type": "mixtral", "rope_scaling": { "type": "linear", "factor": 2, "beta": 1 } }""", "rope_scaling.beta is 1")]
    [InlineData("""{ "model_type": "mixtral", "rope_theta": 1e4, "rope_parameters": { "rope_theta": 1e6 } }""", "say it otherwise")]
    [InlineData("""{ "model_type": "mixtral", "quantization_config": { "quant_method": "awq" } }""", "take a checkpoint that is not quantised")]
    [InlineData("""{ "model_type": "qwen2_moe", "use_sliding_window": true }""", "write layer_types")]
    [InlineData("""{ "model_type": "qwen2_moe", "mlp_only_layers": "none" }""", "mlp_only_layers is \"none\"; give a list")]
    [InlineData("""{ "model_type": "gemma4_text", "enable_moe_block": true, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 8 }""", "hidden_size_per_layer_input")]
    [InlineData("""{ "model_type": "jamba" }""", "model_type jamba has Mamba layers")]
    [InlineData("""{ "model_type": "qwen3_next" }""", "gated delta rule")]
    [InlineData("""{ "model_type": "qwen3_moes" }""", "the nearest is qwen3_moe")]
    [InlineData("""{ "hidden_size": 8 }""", "no model_type")]
    [InlineData("[]", "a configuration is a JSON object")]
    [InlineData("{", "not JSON")]
    [InlineData("""{ "model_type": "switch_transformers", "feed_forward_proj": "gated-gelu" }""", "feed_forward_proj")]
    public void What_is_not_understood_is_refused_by_name(string json, string expected)
    {
        var error = Assert.Throws<InvalidFileException>(() => HubConfig.Parse(json, "config.json"));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.StartsWith("config.json: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Switch_blocks_are_sparse_as_the_file_says_or_by_their_number()
    {
        var said = (HubSwitch)HubConfig.Parse(Of("switch-tiny-gated").ToJsonString(), "config.json");
        Assert.Equal([false, true], said.Encoder);
        Assert.Equal((false, 1.0), (said.Tied, said.LogitsScale));
        var counted = (HubSwitch)HubConfig.Parse("""{ "model_type": "switch_transformers", "num_sparse_encoder_layers": 12 }""", "config.json");
        Assert.All(counted.Encoder, Assert.True);
        Assert.Equal([1, 5, 9], counted.Decoder.Index().Where(b => b.Item).Select(b => b.Index));
    }

    [Theory]
    [InlineData("language-models/mixtral-tiny")]
    [InlineData("language-models/deepseek_v3-tiny")]
    [InlineData("bf16/gpt_oss-tiny")]
    [InlineData("sharded/qwen2_moe-3-shards")]
    public void A_configuration_in_both_forms_says_the_same_in_each(string folder)
    {
        var config = Of(folder);
        var both = HubForms.Both(config);
        JsonObject Without(params string[] keys)
        {
            var less = both.DeepClone().AsObject();
            foreach (var key in keys) less.Remove(key);
            return less;
        }
        var original = Read(config.ToJsonString());
        foreach (var form in (JsonObject[])[both, Without("rope_parameters", "dtype"), Without("rope_theta", "rope_scaling", "partial_rotary_factor", "torch_dtype")])
        {
            var read = Read(form.ToJsonString());
            Assert.Equal(original.Layers, read.Layers);
            Assert.Equal(original with { Layers = [], EndTokens = [] }, read with { Layers = [], EndTokens = [] });
        }
    }
}
