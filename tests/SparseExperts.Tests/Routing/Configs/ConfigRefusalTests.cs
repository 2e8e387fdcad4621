using SparseExperts.Routing;
using SparseExperts.Routing.Configs;
using SparseExperts.Tests.EndToEnd;
using Xunit;

namespace SparseExperts.Tests.Routing.Configs;

/// <summary>What is no configuration of a routed model is refused in one line: what, where, what to do. What is not understood is said.</summary>
public sealed class ConfigRefusalTests
{
    [Theory]
    [InlineData("{", "it: not JSON (", "; correct the text")]
    [InlineData("", "it: not JSON (", "; correct the text")]
    [InlineData("""{"model_type": "mixtral", "model_type": "jamba"}""", "it: not JSON (", "; correct the text")]
    [InlineData("[1, 2]", "it: a configuration is a JSON object, this is [1,2]", "name a model's config.json")]
    [InlineData("null", "it: a configuration is a JSON object, this is null", "name a model's config.json")]
    [InlineData("{}", "it: no model_type and no architectures", "add \"model_type\"")]
    [InlineData("""{"model_type": 7}""", "it: model_type cannot be 7", "give a text")]
    [InlineData("""{"model_type": "llama", "hidden_size": 8}""",
        "it: model_type 'llama' has no routed part that is known (near it are llama4", "a dense model has no dialect")]
    [InlineData("""{"model_type": "mixtrall", "num_local_experts": 8}""",
        "it: model_type 'mixtrall' is unknown, though num_local_experts speaks of routing; near it are mixtral", "\"like\"")]
    [InlineData("""{"model_type": "llava", "text_config": {"model_type": "llama"}}""",
        "it: text_config.model_type 'llama' has no routed part", "a dense model has no dialect")]
    [InlineData("""{"model_type": "gemma4", "text_config": {"enable_moe_block": false}}""",
        "it: gemma4_text without a routed part: text_config.enable_moe_block is not true", "has no dialect")]
    [InlineData("""{"model_type": "diffusion_gemma"}""",
        "it: diffusion_gemma_text without a routed part: num_experts is absent", "has no dialect")]
    [InlineData("""{"model_type": "deepseek_v3", "n_routed_experts": null}""", "it: deepseek_v3 without a routed part: n_routed_experts is null", "no dialect")]
    [InlineData("""{"model_type": "deepseek_v3", "num_experts_per_tok": null}""", "it: num_experts_per_tok cannot be null", "give a whole number")]
    [InlineData("""{"model_type": "t5", "is_gated_act": true, "top_k": 50}""", "it: model_type 't5' has no routed part", "no dialect")]
    [InlineData("""{"model_type": "qwen3_moe", "num_hidden_layers": 2, "mlp_only_layers": [1, 0]}""",
        "it: qwen3_moe without a routed part: mlp_only_layers names all 2 layers", "has no dialect")]
    [InlineData("""{"model_type": "jamba", "num_experts": 1}""", "it: jamba without a routed part: num_experts is 1", "has no dialect")]
    [InlineData("""{"model_type": "vitpose_backbone"}""", "it: vitpose_backbone without a routed part: num_experts is 1", "has no dialect")]
    [InlineData("""{"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*"}""",
        "it: nemotron_h without a routed part: hybrid_override_pattern has no E", "has no dialect")]
    [InlineData("""{"model_type": "nemotron_h", "layers_block_type": ["mamba"]}""",
        "it: nemotron_h without a routed part: layers_block_type names no moe layer", "no dialect")]
    [InlineData("""{"model_type": "granitemoehybrid", "num_local_experts": 0}""", "it: num_local_experts cannot be 0", "from 1")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": -1}""", "it: num_experts cannot be -1", "from 1")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": "8"}""", "it: num_experts cannot be \"8\"", "give a whole number")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": true}""", "it: num_experts cannot be true", "give a whole number")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": 8.5}""", "it: num_experts cannot be 8.5", "give a whole number")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": [8, 8]}""", "it: num_experts cannot be [8,8]", "give a whole number")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": 1e300}""", "it: num_experts cannot be 1e300", "to 2147483647")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts_per_tok": 0}""", "it: num_experts_per_tok cannot be 0", "from 1")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 5}""",
        "it: num_experts_per_tok 5 is more than num_experts 4", "twice")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": 4}""",
        "it: the library's default of num_experts_per_tok 8 is more than num_experts 4", "twice")]
    [InlineData("""{"model_type": "qwen3_moe", "norm_topk_prob": "yes"}""", "it: norm_topk_prob cannot be \"yes\"", "give true or false")]
    [InlineData("""{"model_type": "deepseek_v3", "routed_scaling_factor": null}""", "it: routed_scaling_factor cannot be null", "give a number")]
    [InlineData("""{"model_type": "gpt_oss", "swiglu_limit": null}""", "it: swiglu_limit cannot be null", "give a number")]
    [InlineData("""{"model_type": "qwen3_moe", "router_aux_loss_coef": "x"}""", "it: router_aux_loss_coef cannot be \"x\"", "give a number")]
    [InlineData("""{"model_type": "qwen3_moe", "router_aux_loss_coef": 1e999}""", "it: router_aux_loss_coef cannot be", "give a number")]
    [InlineData("""{"model_type": "qwen3_moe", "hidden_act": 3}""", "it: hidden_act cannot be 3", "give a text")]
    [InlineData("""{"model_type": "dots1", "n_routed_experts": 8}""", "it: num_experts_per_tok is absent and the library has no default", "add it")]
    [InlineData("""{"model_type": "dots1"}""", "it: dots1 without a routed part: n_routed_experts is absent", "has no dialect")]
    [InlineData("""{"model_type": "axk2", "n_group": 4, "n_routed_experts": 8}""", "it: topk_group is absent and the library has no default", "add it")]
    [InlineData("""{"model_type": "deepseek_v3", "n_routed_experts": 12}""",
        "it: the library's default of n_group 8 does not divide n_routed_experts 12", "one size")]
    [InlineData("""{"model_type": "deepseek_v3", "n_group": 4, "topk_group": 5}""", "it: topk_group 5 is more than n_group 4", "at most all groups")]
    [InlineData("""{"model_type": "phimoe", "num_experts_per_tok": 4}""", "it: num_experts_per_tok cannot be 4; its router chooses 2", "write 2")]
    [InlineData("""{"model_type": "zaya", "num_experts_per_tok": 2}""", "it: num_experts_per_tok cannot be 2; its router chooses 1", "write 1")]
    [InlineData("""{"model_type": "cohere2_moe", "expert_selection_fn": "relu"}""",
        "it: expert_selection_fn cannot be \"relu\"", "choose one of softmax, sigmoid")]
    [InlineData("""{"model_type": "hunyuan_v1_moe", "num_experts": 8, "moe_topk": [1, 2]}""", "it: moe_topk cannot be [1,2]", "layers differ")]
    [InlineData("""{"model_type": "dbrx", "ffn_config": {"moe_normalize_expert_weights": 3}}""",
        "it: ffn_config.moe_normalize_expert_weights cannot be 3", "norms 1 and 2")]
    [InlineData("""{"model_type": "qwen3_vl_moe", "text_config": {"num_experts": 0}}""", "it: text_config.num_experts cannot be 0", "from 1")]
    [InlineData("""{"model_type": "qwen3_vl_moe", "text_config": "small"}""", "it: text_config cannot be \"small\"", "give an object")]
    [InlineData("""{"model_type": "qwen3_moe", "decoder_sparse_step": "x"}""",
        "it: decoder_sparse_step cannot be \"x\"", "give a whole number")]
    [InlineData("""{"model_type": "qwen3_moe", "decoder_sparse_step": 0}""",
        "it: decoder_sparse_step cannot be 0", "from 1")]
    [InlineData("""{"model_type": "qwen3_moe", "decoder_sparse_step": 4, "num_hidden_layers": 3}""",
        "it: qwen3_moe without a routed part: decoder_sparse_step 4 reaches none of the 3 layers", "has no dialect")]
    [InlineData("""{"model_type": "deepseek_v3", "first_k_dense_replace": 3, "num_hidden_layers": 3}""",
        "it: deepseek_v3 without a routed part: first_k_dense_replace 3 is all of the 3 layers", "has no dialect")]
    [InlineData("""{"model_type": "deepseek_v3", "first_k_dense_replace": -1}""",
        "it: first_k_dense_replace cannot be -1", "from 0")]
    [InlineData("""{"model_type": "jamba", "expert_layer_period": 0}""",
        "it: expert_layer_period cannot be 0", "from 1")]
    [InlineData("""{"model_type": "qwen3_moe", "mlp_only_layers": "x"}""",
        "it: mlp_only_layers cannot be \"x\"", "give a list")]
    [InlineData("""{"model_type": "qwen3_moe", "mlp_only_layers": [1.5]}""",
        "it: mlp_only_layers cannot be [1.5]", "give a list")]
    [InlineData("""{"model_type": "qwen3_moe", "num_hidden_layers": 0}""",
        "it: num_hidden_layers cannot be 0", "from 1")]
    [InlineData("""{"model_type": "qwen3_moe", "moe_intermediate_size": "x"}""",
        "it: moe_intermediate_size cannot be \"x\"", "give a whole number")]
    [InlineData("""{"model_type": "qwen3_moe", "router_aux_loss_coef": -1}""",
        "it: router_aux_loss_coef cannot be -1", "choose 0 (off) or more")]
    [InlineData("""{"model_type": "switch_transformers", "router_z_loss_coef": -1}""",
        "it: router_z_loss_coef cannot be -1", "choose 0 (off) or more")]
    [InlineData("""{"model_type": "deepseek_v3", "routed_scaling_factor": -1}""",
        "it: routed_scaling_factor cannot be -1", "choose a factor of 0 or more")]
    [InlineData("""{"model_type": "mixtral", "router_jitter_noise": 5}""",
        "it: router_jitter_noise cannot be 5", "choose within [0, 1)")]
    [InlineData("""{"model_type": "gpt_oss", "swiglu_limit": -1}""",
        "it: swiglu_limit cannot be -1", "choose 0 (off) or more")]
    [InlineData("""{"model_type": "nllb-moe", "moe_token_dropout": 3}""",
        "it: moe_token_dropout cannot be 3", "choose within [0, 1)")]
    public void Is_refused(string text, string what, string remedy)
    {
        var message = Assert.Throws<DialectException>(() => ConfigFile.Parse(text, "it")).Message;
        Assert.StartsWith(what, message, StringComparison.Ordinal);
        Assert.Contains(remedy, message[what.Length..], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model_type": "deepseek_v3", "aux_loss_alpha": 0.001, "seq_aux": true, "scoring_func": "sigmoid", "topk_method": "noaux_tc"}""",
        "aux_loss_alpha,seq_aux")]
    [InlineData("""{"model_type": "deepseek_v3", "scoring_func": "softmax"}""", "scoring_func")]
    [InlineData("""{"model_type": "mixtral", "capacity_factor": 1.25, "top_k": 50, "hidden_size": 8}""", "capacity_factor")]
    [InlineData("""{"model_type": "mixtral", "top_k": 4}""", "top_k")]
    [InlineData("""{"model_type": "mixtral", "num_local_experts": 8, "num_experts": 16}""", "num_experts")]
    [InlineData("""{"model_type": "mixtral", "num_local_experts": 8, "num_experts": 8}""", "")]
    [InlineData("""{"model_type": "mixtral", "hidden_act": "xielu"}""", "hidden_act")]
    [InlineData("""{"model_type": "dbrx", "ffn_config": {"moe_capacity": 4}}""", "ffn_config.moe_capacity")]
    [InlineData("""{"model_type": "aria", "text_config": {"moe_z_loss_coeff": 1e-5}}""", "text_config.moe_z_loss_coeff")]
    [InlineData("""{"model_type": "step3p5", "swiglu_limits": [0, 7]}""", "swiglu_limits")]
    [InlineData("""{"model_type": "qwen3_moe", "index_topk": 4, "attn_output_gate": true, "mamba_gate": 1, "output_gate_type": "silu", "moe_layer_freq": 2}""",
        "")]
    public void A_key_that_is_not_understood_is_named(string text, string keys) =>
        Assert.Equal(keys, string.Join(",", ConfigFile.Parse(text, "it").Ignored.Select(i => i.Key)));

    [Fact]
    public void The_command_prints_one_object_and_says_what_it_left_out()
    {
        using var workspace = new Workspace();
        var text = """{"model_type": "kimi_linear", "num_experts": 8, "num_experts_per_token": 3, "aux_loss_alpha": 0.1}""";
        File.WriteAllText(workspace.At("config.json"), text);
        var result = MoeCommand.Run(["dialects", "--config", workspace.Folder, "--json"]);
        Assert.Equal(0, result.ExitCode);
        var lines = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("""{"dialect":"hf.kimi_linear","parameters":{"k":3,"scaling_factor":2.446,"normalize":"sum","groups":1""", Assert.Single(lines));
        Assert.EndsWith(""","ignored":["aux_loss_alpha"]}""", lines[0]);
        var error = Assert.Single(result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("moe: not understood and left out: aux_loss_alpha 0.1", error);
    }

    [Fact]
    public void The_command_prints_a_page()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.At("it.json"), """{"model_type": "mixtral", "num_experts_per_tok": 3}""");
        var result = MoeCommand.Run(["dialects", "--config", workspace.At("it.json")]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("mixtral of transformers: dialect hf.mixtral", result.Output);
        Assert.Contains("experts: 8 (the library's default of num_local_experts)", result.Output);
        Assert.Matches(@"  k = 3 +num_experts_per_tok", result.Output);
    }

    [Theory]
    [InlineData("mixtral", "mixtral is mixtral of transformers: softmax, its k best, divided by their sum; its dialect is hf.mixtral")]
    [InlineData("Qwen3MoeForCausalLM", "Qwen3MoeForCausalLM is qwen3_moe of transformers")]
    public void A_name_of_the_library_leads_to_its_dialect_in_one_line(string name, string line)
    {
        var result = MoeCommand.Run(["dialects", name]);
        Assert.Equal(0, result.ExitCode);
        Assert.StartsWith(line, Assert.Single(result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        Assert.StartsWith("hf.", result.Output);
    }

    [Theory]
    [InlineData("dialects --config nowhere.json", "moe: nowhere.json: cannot be read (")]
    [InlineData("dialects --config nowhere.json mesh.switch", "moe: --config: not with a name, --markdown, --precision or --html; give one of them")]
    [InlineData("dialects --config nowhere.json --markdown", "moe: --config: not with a name, --markdown, --precision or --html; give one of them")]
    public void The_command_refuses_in_one_line(string arguments, string line)
    {
        var result = MoeCommand.Run(arguments.Split(' '));
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.StartsWith(line, Assert.Single(result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
    }

    [Fact]
    public void A_slip_of_a_letter_is_asked_about()
    {
        var ignored = Assert.Single(ConfigFile.Parse("""{"model_type": "qwen3_moe", "num_expert": 16}""", "it").Ignored);
        Assert.Equal(("num_expert", "nothing in this type's rule reads it: is num_experts meant?"), (ignored.Key, ignored.Why));
    }
}
