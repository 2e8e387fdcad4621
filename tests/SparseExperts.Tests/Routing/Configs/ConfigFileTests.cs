using System.Text.Json.Nodes;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;
using Xunit;

namespace SparseExperts.Tests.Routing.Configs;

/// <summary>
/// Configurations as transformers 5.24 writes them, and what its blocks really used when they were run with them (<c>expected.json</c>).
/// SPARSEEXPERTS_CONFIGS names another folder of such files.
/// </summary>
public sealed class ConfigFileTests
{
    static string Vendored => Path.Combine(AppContext.BaseDirectory, "Routing", "Configs", "files");
    static string Folder => Environment.GetEnvironmentVariable("SPARSEEXPERTS_CONFIGS") is { Length: > 0 } folder ? folder : Vendored;

    static JsonObject Expected(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")))!.AsObject();

    public static TheoryData<string> Files() => [.. Expected(Folder).Select(p => p.Key)];

    [Theory, MemberData(nameof(Files))]
    public void A_file_means_what_the_library_did(string file)
    {
        var answer = ConfigFile.Load(Path.Combine(Folder, file));
        Same(Expected(Folder)[file]!, answer);
        Assert.Equal(answer.Dialect, Set(answer).Name);
    }

    [Theory, MemberData(nameof(Files))]
    public void Nothing_in_a_written_file_is_passed_over(string file) => Assert.Empty(ConfigFile.Load(Path.Combine(Folder, file)).Ignored);

    /// <summary>The routed part of a composite model: under the composite's own name, and under one that nobody knows.</summary>
    [Theory, MemberData(nameof(Files))]
    public void A_composite_model_leads_to_its_part(string file)
    {
        var part = Text(Path.Combine(Folder, file));
        var type = ModelTypes.Find(part["model_type"]!.GetValue<string>())!;
        foreach (var outer in type.Also.Append("some_vision_model"))
        {
            var other = new JsonObject { ["num_experts"] = 99 };
            var whole = new JsonObject { ["model_type"] = outer, ["text_config"] = part.DeepClone(), ["vision_config"] = other };
            Same(Expected(Folder)[file]!, ConfigFile.Parse(whole.ToJsonString(), file));
            Same(Expected(Folder)[file]!, ConfigFile.Parse(new JsonObject { ["thinker_config"] = whole }.ToJsonString(), file));
        }
        if (type.Also.Count == 0) return;
        part.Remove("model_type");
        Same(Expected(Folder)[file]!, ConfigFile.Parse(new JsonObject { ["model_type"] = type.Also[0], ["text_config"] = part }.ToJsonString(), file));
    }

    [Theory]
    [InlineData("deepseek_v3", """{"num_local_experts": 16, "moe_topk": 4, "num_expert_group": 4, "topk_group": 2}""",
        """{"k": 4, "groups": 4, "groups_kept": 2}""")]
    [InlineData("kimi_linear", """{"num_experts_per_tok": 3, "n_group": 1, "norm_topk_prob": false}""", """{"k": 3, "normalize": "none", "groups": 1}""")]
    [InlineData("ernie4_5_moe", """{"num_experts": 6, "num_experts_per_tok": 3}""", """{"k": 3}""")]
    [InlineData("step3p5", """{"moe_num_experts": 12, "moe_top_k": 3, "swiglu_limits": [7, 7]}""", """{"k": 3, "activation_limit": 7}""")]
    [InlineData("qwen3_moe", """{"num_experts": 16, "num_experts_per_tok": 2, "norm_topk_prob": true}""", """{"k": 2, "normalize": "sum"}""")]
    [InlineData("gpt_oss", """{"num_experts": 16, "experts_per_token": 2}""", """{"k": 2, "activation_limit": 7.0}""")]
    [InlineData("dbrx", """{"ffn_config": {"moe_top_k": 2, "moe_normalize_expert_weights": 2, "moe_jitter_eps": 0.1}}""",
        """{"k": 2, "normalize": "norm2", "jitter": 0.1}""")]
    [InlineData("dbrx", """{"ffn_config": {"moe_normalize_expert_weights": null}}""", """{"k": 1, "normalize": "none"}""")]
    [InlineData("hunyuan_v1_moe", """{"num_experts": 64, "moe_topk": [8, 8, 8]}""", """{"k": 8}""")]
    [InlineData("dots3_note_vision_encoder", """{"capacity_factor": 3, "router_scale": 2.0}""", """{"k": 3, "scaling_factor": 2.0}""")]
    [InlineData("cohere2_moe", """{"expert_selection_fn": "sigmoid"}""",
        """{"k": 2, "score": "sigmoid", "normalize": "sum", "shared_combination": "average"}""")]
    [InlineData("laguna", """{"moe_router_logit_softcapping": 1.5}""", """{"logits_softcap": 1.5, "k": 8}""")]
    [InlineData("inkling2_text", """{"scoring_func": "sqrtsoftplus"}""", """{"score": "sqrtsoftplus", "activation_gate_softcap": 4.0}""")]
    [InlineData("nemotron_h", """{"moe_latent_size": 4, "norm_topk_prob": false}""", """{"latent_experts": true, "normalize": "none"}""")]
    [InlineData("nemotron_h", """{"n_routed_experts": 16, "n_group": 4, "topk_group": 2}""",
        """{"groups": 4, "groups_kept": 2, "group_mask": "minus_infinity"}""")]
    [InlineData("openai_privacy_filter", """{"num_experts_per_tok": 4}""", """{"k": 4, "scaling_factor": 0.25, "output_scaling_factor": 4}""")]
    [InlineData("hy_v4", """{"swiglu_limit": 0}""", """{"activation": "silu"}""")]
    [InlineData("mixtral", """{"hidden_act": "gelu", "router_jitter_noise": 0.1}""", """{"activation": "gelu_erf", "jitter": 0.1}""")]
    [InlineData("switch_transformers", """{"transformers_version": "4.57.6", "expert_capacity": 5}""",
        """{"capacity": 5, "jitter": 0.01, "z_coefficient": 0.001}""")]
    [InlineData("deepseek_v41", """{"text_config": {"gate_temp": 4.0, "norm_topk_prob": false, "swiglu_limit": 5.0, "router_aux_loss_coef": 0.001}}""",
        """{"k": 6, "score": "sqrtsoftplus", "logits_scale": 0.25, "normalize": "none", "activation": "swiglu_limited", "activation_limit": 5.0}""")]
    [InlineData("deepseek_v41_text", """{"swiglu_limit": 0}""", """{"activation": "silu", "logits_scale": 1.0, "normalize": "sum"}""")]
    [InlineData("deepseek_v3", """{"norm_topk_prob": null}""", """{"normalize": "none", "scaling_factor": 2.5}""")]
    [InlineData("nllb-moe", """{"second_expert_policy": "sampling"}""", """{"policy": "sample", "normalize": "after_drop", "capacity": 64}""")]
    public void Keys_have_other_spellings_and_values(string type, string keys, string expected)
    {
        var json = JsonNode.Parse(keys)!.AsObject();
        json["model_type"] = type;
        var answer = ConfigFile.Parse(json.ToJsonString(), type);
        Assert.Empty(answer.Ignored);
        foreach (var (name, value) in JsonNode.Parse(expected)!.AsObject()) AssertEqual(name, value!, answer);
        Assert.Equal(answer.Dialect, Set(answer).Name);
    }

    /// <summary>
    /// GPT-OSS's class had 0.9 before 5; DeepSeek-V3's rule masked with 0 before 5.6. A file that names no version is read as the newest reads it.
    /// </summary>
    [Theory]
    [InlineData("gpt_oss", "4.57.6", "balance_coefficient", "0.9", "the library's default of router_aux_loss_coef before transformers 5.0")]
    [InlineData("gpt_oss", "5.0.0", "balance_coefficient", "0.001", "the library's default of router_aux_loss_coef")]
    [InlineData("gpt_oss", null, "balance_coefficient", "0.001", "the library's default of router_aux_loss_coef")]
    [InlineData("deepseek_v3", "4.57.6", "group_mask", "\"zero\"", "the rule before transformers 5.6")]
    [InlineData("deepseek_v3", "5.5.4", "group_mask", "\"zero\"", "the rule before transformers 5.6")]
    [InlineData("deepseek_v3", "5.6.0", "group_mask", "\"minus_infinity\"", "the rule")]
    [InlineData("deepseek_v3", null, "group_mask", "\"minus_infinity\"", "the rule")]
    [InlineData("solar_open", "5.2.0", "group_mask", "\"zero\"", "the rule before transformers 5.6")]
    [InlineData("kimi_linear", "4.57.1", "group_mask", "\"minus_infinity\"", "the rule")]
    public void A_default_is_that_of_the_version_that_wrote_the_file(string type, string? version, string parameter, string value, string from)
    {
        var json = new JsonObject { ["model_type"] = type, ["transformers_version"] = version };
        var found = ConfigFile.Parse(json.ToJsonString(), type).Parameters.Single(p => p.Name == parameter);
        Assert.Equal((value, from), (found.Value.ToJsonString(), found.From));
    }

    [Fact]
    public void What_a_file_says_itself_is_no_default_of_any_version()
    {
        var found = ConfigFile.Parse("""{"model_type": "gpt_oss", "transformers_version": "4.57.6", "router_aux_loss_coef": 0.5}""", "it").Parameters;
        Assert.Contains(found, p => p is { Name: "balance_coefficient", From: "router_aux_loss_coef" } && p.Value.ToJsonString() == "0.5");
    }

    /// <summary>The configuration classes' defaults, where their rule makes something of them.</summary>
    [Theory]
    [InlineData("qwen3_next", """{"k": 10, "normalize": "sum"}""")]
    [InlineData("qwen2_moe", """{"k": 4, "normalize": "none"}""")]
    [InlineData("deepseek_v3", """{"k": 8, "scaling_factor": 2.5, "normalize": "sum", "groups": 8, "groups_kept": 4}""")]
    [InlineData("bailing_hybrid", """{"k": 8, "scaling_factor": 2.5, "groups": 8, "groups_kept": 4}""")]
    [InlineData("glm4_moe_lite", """{"k": 4, "scaling_factor": 1.8, "groups": 1}""")]
    [InlineData("hy_v3", """{"k": 8, "scaling_factor": 2.826}""")]
    [InlineData("longcat_flash", """{"k": 12, "identity_experts": 256, "scaling_factor": 6.0}""")]
    [InlineData("beam", """{"k": 8, "groups": 8, "groups_kept": 4, "output_scaling_factor": 2.5}""")]
    [InlineData("muse_spark_text", """{"k": 8, "logits_scale": 0.1767766952966369, "experts_post_norm_epsilon": 1e-8}""")]
    [InlineData("doge", """{"k": 64, "product_keys": 128}""")]
    [InlineData("jetmoe", """{"k": 2, "balance_coefficient": 0.01}""")]
    [InlineData("qwen3_omni_moe_talker_text", """{"k": 8, "normalize": "none"}""")]
    public void Absent_keys_have_the_class_defaults(string type, string expected)
    {
        var answer = ConfigFile.Defaults(ModelTypes.Find(type)!);
        foreach (var (name, value) in JsonNode.Parse(expected)!.AsObject()) AssertEqual(name, value!, answer);
    }

    [Theory]
    [InlineData("Qwen3MoeForCausalLM", "qwen3_moe")]
    [InlineData("Qwen3OmniMoeThinkerForConditionalGeneration", "qwen3_omni_moe_text")]
    [InlineData("GlmMoeDsaForCausalLM", "glm_moe_dsa")]
    [InlineData("Glm4MoeLiteModel", "glm4_moe_lite")]
    [InlineData("Gemma4ForConditionalGeneration", "gemma4_text")]
    [InlineData("MiniMaxM2ForCausalLM", "minimax_m2")]
    [InlineData("MiniMaxForCausalLM", "minimax")]
    [InlineData("PhiMoEForCausalLM", "phimoe")]
    [InlineData("DeepseekV41ForCausalLM", "deepseek_v41_text")]
    [InlineData("Inkling2LoopForConditionalGeneration", "inkling2_loop_text")]
    public void A_class_names_its_type(string architecture, string type)
    {
        Assert.Equal(type, ModelTypes.FindArchitecture(architecture)!.Name);
        var text = $$"""{"architectures": ["{{architecture}}"], "enable_moe_block": true, "num_experts": 8, "top_k_experts": 2, "num_experts_per_tok": 2}""";
        Assert.Equal(type, ConfigFile.Parse(text, "it").Type.Name);
    }

    /// <summary>However people write it.</summary>
    [Theory]
    [InlineData("GEMMA-4", "gemma4_text")]
    [InlineData("Qwen3.5-MoE", "qwen3_5_moe_text")]
    [InlineData("DeepSeek-V3.2", "deepseek_v32")]
    [InlineData("kimi_k25", "deepseek_v3")]
    [InlineData("nemotron-h", "nemotron_h")]
    [InlineData("nllb_moe", "nllb-moe")]
    public void A_name_is_found_whatever_its_case_and_separators(string name, string type) => Assert.Equal(type, ModelTypes.Find(name)!.Name);

    [Theory]
    [InlineData("MiniMaxM3ForConditionalGeneration", "hf.minimax_m3_vl")]
    [InlineData("openai/gpt-oss-120b", "hf.gpt_oss")]
    [InlineData("mistralai/Mixtral-8x7B-v0.1", "hf.mixtral")]
    [InlineData("deepseek_v4_flash", "hf.deepseek_v4")]
    [InlineData("Qwen/Qwen3-30B-A3B", "hf.qwen3_")]
    [InlineData("trtlm.static", "trtllm.static")]
    public void Near_a_name_that_is_unknown_are_dialects_of_like_names(string name, string near) =>
        Assert.StartsWith($"dialect '{name}': unknown; near it are {near}", Assert.Throws<DialectException>(() => BuiltIn.Named(name)).Message);

    [Theory]
    [InlineData("Qwen3ForCausalLM")]
    [InlineData("MixtralizerForCausalLM")]
    [InlineData("Mixtral8")]
    public void A_class_of_another_model_names_none(string architecture) => Assert.Null(ModelTypes.FindArchitecture(architecture));

    [Theory]
    [InlineData("4.25.0", "hf.switch.v4")]
    [InlineData("5.0.0", "hf.switch.v5")]
    [InlineData("5.5.0.dev0", "hf.switch.v5")]
    [InlineData("5.17.0", "hf.switch.v5")]
    [InlineData("5.23.0", "hf.switch.v4")]
    [InlineData("5", "hf.switch.v5")]
    [InlineData("main", "hf.switch.v4")]
    [InlineData(null, "hf.switch.v4")]
    public void The_version_that_wrote_a_file_chooses_between_dialects(string? version, string dialect)
    {
        var json = new JsonObject { ["model_type"] = "switch_transformers", ["transformers_version"] = version };
        Assert.Equal(dialect, ConfigFile.Parse(json.ToJsonString(), "it").Dialect);
    }

    [Fact]
    public void Numbers_that_only_Python_writes_are_read_and_texts_left_alone()
    {
        var answer = ConfigFile.Parse("""{"model_type": "mixtral", "time_step_limit": [0.0, Infinity, -Infinity, NaN], "a": "x \" NaN"}""", "it");
        Assert.Equal("hf.mixtral", answer.Dialect);
        var refused = Assert.Throws<DialectException>(() => ConfigFile.Parse("""{"model_type": "mixtral", "num_experts_per_tok": NaN}""", "it"));
        Assert.Contains("cannot be \"NaN\"", refused.Message);
    }

    /// <summary>The dialect with what the file says; it refuses what it does not have and what contradicts itself.</summary>
    static Dialect Set(ConfigAnswer answer) => DialectFile.With(BuiltIn.Named(answer.Dialect), answer.ToJson()["parameters"]!.AsObject(), answer.Type.Name);

    static JsonObject Text(string path) => JsonNode.Parse(File.ReadAllText(path).Replace("Infinity", "null", StringComparison.Ordinal))!.AsObject();

    static void Same(JsonNode expected, ConfigAnswer answer)
    {
        Assert.Equal(expected["dialect"]!.GetValue<string>(), answer.Dialect);
        foreach (var (name, value) in expected["parameters"]!.AsObject()) AssertEqual(name, value!, answer);
    }

    static void AssertEqual(string name, JsonNode expected, ConfigAnswer answer)
    {
        var parameter = answer.Parameters.SingleOrDefault(p => p.Name == name);
        Assert.True(parameter is not null, $"{name} is not among the parameters: {answer.ToJson().ToJsonString()}");
        if (expected.GetValueKind() == System.Text.Json.JsonValueKind.Number)
            Assert.Equal(Number(expected), Number(parameter.Value));
        else
            Assert.Equal(expected.ToString(), parameter.Value.ToString());
    }

    static double Number(JsonNode node) => double.Parse(node.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture);
}
