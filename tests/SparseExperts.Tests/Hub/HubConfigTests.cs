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

    /// <summary>What the file does not say is of the library's own vocabulary.</summary>
    [Fact]
    public void A_default_token_beyond_a_small_vocabulary_is_not_refused() =>
        Assert.Equal(1, Read("""{ "model_type": "mixtral", "vocab_size": 1 }""").Vocabulary);

    [Fact]
    public void Rotary_settings_are_read_in_both_forms()
    {
        var old = Read("""{ "model_type": "mixtral", "rope_theta": 5e5, "rope_scaling": { "type": "linear", "factor": 2.0 } }""");
        var now = Read("""{ "model_type": "mixtral", "rope_parameters": { "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 } }""");
        Assert.Equal(old.Layers, now.Layers);
        Assert.Equal((5e5, 2.0, RotaryScaling.Linear), (now.Layers[0].Rotary!.Theta, now.Layers[0].Rotary!.Factor, now.Layers[0].Rotary!.Scaling));
    }

    [Theory]
    [InlineData("qwen3_moe", """{ "rope_theta": 1e4, "rope_scaling": { "rope_type": "default", "rope_theta": 5.0 } }""", "rope_scaling.rope_theta is 5;")]
    [InlineData("mixtral", """{ "rope_scaling": { "type": "linear", "rope_type": "yarn", "factor": 2.0 } }""",
        "rope_scaling.type is \"linear\"; rope_type beside it is \"yarn\"")]
    [InlineData("minimax_m2", """{ "head_dim": 8, "rotary_dim": 2, "rope_parameters": { "partial_rotary_factor": 0.5 } }""", "rotary_dim is 2; partial_rot")]
    [InlineData("deepseek_v3", """{ "qk_head_dim": 20 }""", "qk_head_dim is 20; it is qk_nope_head_dim + qk_rope_head_dim")]
    [InlineData("deepseek_v3", """{ "rope_interleave": null }""", "rope_interleave is null; this program rotates pairs")]
    public void Keys_that_contradict_each_other_are_refused(string type, string keys, string expected)
    {
        var json = JsonNode.Parse(keys)!.AsObject();
        json["model_type"] = type;
        Assert.Contains(expected, Assert.Throws<InvalidFileException>(() => Read(json.ToJsonString())).Message, StringComparison.Ordinal);
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

    /// <summary>Modules of transformers 5 may hold a parameter under another name than checkpoints do.</summary>
    [Fact]
    public void A_parameter_is_found_under_the_name_of_the_librarys_module()
    {
        const string bias = "e_score_correction_bias";
        var ernie = HubTensors.Of(Read("""{ "model_type": "ernie4_5_moe", "num_hidden_layers": 2, "moe_num_experts": 8 }"""));
        var stored = ernie.Find($"model.layers.1.mlp.moe_statics.{bias}")!;
        Assert.Same(stored, ernie.OfParameter($"model.layers.1.mlp.gate.moe_statics.{bias}"));
        Assert.Same(stored, ernie.OfParameter(stored.Name));
        Assert.Null(ernie.Find($"model.layers.1.mlp.gate.moe_statics.{bias}"));
        Assert.Null(ernie.OfParameter($"model.layers.0.mlp.gate.moe_statics.{bias}"));      // a dense layer
        Assert.Null(HubTensors.Of(Read("""{ "model_type": "mixtral" }""")).OfParameter($"model.layers.1.mlp.gate.moe_statics.{bias}"));
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
    [InlineData("""{ "model_type": "mixtral", "hidden_size": "wide" }""", "hidden_size cannot be \"wide\"; give a whole number")]
    [InlineData("""{ "model_type": "mixtral", "num_key_value_heads": 5 }""", "num_attention_heads 32 is no multiple of num_key_value_heads 5")]
    [InlineData("""{ "model_type": "mixtral", "rope_scaling": { "type": "longrope" } }""", "rope_scaling.rope_type is \"longrope\"")]
    [InlineData("""{ "model_type": "mixtral", "rope_scaling": { "type": "linear", "factor": 2, "beta": 1 } }""", "rope_scaling.beta is 1")]
    [InlineData("""{ "model_type": "mixtral", "rope_theta": 1e4, "rope_parameters": { "rope_theta": 1e6 } }""",
        "the older form beside it (rope_theta) has another rope_theta; keep one of the two forms")]
    [InlineData("""{ "model_type": "mixtral", "rope_scaling": null, "rope_parameters": { "rope_theta": 1e6, "partial_rotary_factor": 0.5 } }""",
        "the older form beside it (rope_scaling) has another partial_rotary_factor")]
    [InlineData("""{ "model_type": "mixtral", "max_position_embeddings": 1000000000000 }""", "is 1000000000000; give a whole number of at most 2147483647")]
    [InlineData("""{ "model_type": "mixtral", "max_position_embeddings": 0 }""", "is 0; give a whole number of at least 1")]
    [InlineData("""{ "model_type": "mixtral", "vocab_size": 60, "pad_token_id": 100 }""", "pad_token_id 100 is no token of vocab_size 60; correct it")]
    [InlineData("""{ "model_type": "switch_transformers", "vocab_size": 60, "eos_token_id": 60 }""", "eos_token_id 60 is no token of vocab_size 60")]
    [InlineData("""{ "model_type": "deepseek_v3", "num_hidden_layers": 2 }""",
        "none of the 2 layers is sparse by first_k_dense_replace 3 (the library's default); correct it")]
    [InlineData("""{ "model_type": "qwen3_moe", "num_hidden_layers": 2, "decoder_sparse_step": 3 }""", "decoder_sparse_step")]
    [InlineData("""{ "model_type": "mixtral", "quantization_config": { "quant_method": "awq" } }""", "take a checkpoint that is not quantised")]
    [InlineData("""{ "model_type": "qwen2_moe", "use_sliding_window": true }""", "write layer_types")]
    [InlineData("""{ "model_type": "qwen2_moe", "mlp_only_layers": "none" }""", "mlp_only_layers cannot be \"none\"; give a list")]
    [InlineData("""{ "model_type": "gemma4_text", "enable_moe_block": true, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 8 }""",
        "hidden_size_per_layer_input")]
    [InlineData("""{ "model_type": "jamba" }""", "model_type jamba has Mamba layers")]
    [InlineData("""{ "model_type": "qwen3_next" }""", "gated delta rule")]
    [InlineData("""{ "model_type": "qwen3_moes" }""", "the nearest is qwen3_moe;")]
    [InlineData("""{ "model_type": "llama4s" }""", "the nearest is llama4_text;")]
    [InlineData("""{ "model_type": "switch" }""", "the nearest is switch_transformers;")]
    [InlineData("""{ "model_type": "phimoe" }""", "'phimoe' is none that this program computes; it computes mixtral")]
    [InlineData("""{ "model_type": "t5" }""", "'t5' is none that this program computes; it computes mixtral")]
    [InlineData("""{ "model_type": "" }""", "'' is none that this program computes; it computes mixtral")]
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

    /// <summary>Keys as published checkpoints of each family write them.</summary>
    [Theory]
    [InlineData("""
        { "model_type": "deepseek_v2", "aux_loss_alpha": 0.001, "seq_aux": true, "moe_layer_freq": 1, "q_lora_rank": null, "n_group": 1, "topk_group": 1,
          "topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": false, "num_experts_per_tok": 6, "ep_size": 1,
          "rope_scaling": { "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
            "original_max_position_embeddings": 4096, "type": "yarn" } }
        """)]
    [InlineData("""
        { "model_type": "gpt_oss", "experts_per_token": 4, "initial_context_length": 4096, "swiglu_limit": 7.0, "router_aux_loss_coef": 0.9,
          "quantization_config": { "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"], "quant_method": "mxfp4" } }
        """)]
    [InlineData("""
        { "model_type": "glm4_moe", "head_dim": 128, "partial_rotary_factor": 0.5, "num_nextn_predict_layers": 1, "rope_scaling": null,
          "rope_theta": 1000000, "use_qk_norm": true, "eos_token_id": [151329, 151336] }
        """)]
    [InlineData("""
        { "model_type": "minimax_m2", "attn_type_list": [1, 1], "mtp_transformer_layers": 1, "num_mtp_modules": 3, "qk_norm_type": "per_layer",
          "rotary_dim": 64, "scoring_func": "sigmoid", "shared_intermediate_size": 0, "use_mtp": true, "use_qk_norm": true, "use_routing_bias": true }
        """)]
    [InlineData("""
        { "model_type": "llama4", "text_config": { "model_type": "llama4_text", "attn_temperature_tuning": 4, "cache_implementation": "hybrid",
          "for_llm_compressor": false, "no_rope_layers": [], "rope_scaling": { "factor": 16.0, "high_freq_factor": 1.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3" } }, "vision_config": { "hidden_size": 1408 } }
        """)]
    [InlineData("""
        { "model_type": "ernie4_5_moe", "moe_capacity": [64, 64, 64], "moe_gate": "topk", "moe_use_aux_free": true, "num_nextn_predict_layers": 1 }
        """)]
    [InlineData("""
        { "model_type": "qwen3_vl_moe", "text_config": { "model_type": "qwen3_vl_moe_text", "rope_theta": 5000000, "rope_scaling":
          { "mrope_interleaved": true, "mrope_section": [24, 20, 20], "rope_type": "default" } }, "vision_config": {}, "image_token_id": 151655 }
        """)]
    [InlineData("""
        { "model_type": "switch_transformers", "feed_forward_proj": "relu", "is_gated_act": false, "router_type": "tokens_masked", "output_past": true }
        """)]
    public void Published_configurations_are_read(string json)
    {
        var config = HubConfig.Parse(json, "config.json");
        Assert.NotEmpty(HubTensors.Of(config).Matrices);
        if (config is HubDecoder { ModelType: "minimax_m2" } rotated) Assert.Equal((128, 64), (rotated.HeadWidth, rotated.Layers[0].Rotary!.Width));
        if (config is HubDecoder { ModelType: "llama4_text" } mixed)
            Assert.Equal([true, true, true, false], mixed.Layers.Take(4).Select(l => l.Rotary is not null));
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
        JsonObject four = Without("rope_parameters", "dtype"), five = Without("rope_theta", "rope_scaling", "partial_rotary_factor", "torch_dtype");
        foreach (var form in (JsonObject[])[both, four, five])
        {
            var read = Read(form.ToJsonString());
            Assert.Equal(original.Layers, read.Layers);
            Assert.Equal(original with { Layers = [], EndTokens = [] }, read with { Layers = [], EndTokens = [] });
        }
    }
}
