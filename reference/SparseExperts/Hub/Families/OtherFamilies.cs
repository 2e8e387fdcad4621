using System.Text.Json.Nodes;

namespace SparseExperts.Hub.Families;

/// <summary>GPT-OSS, Llama 4, ERNIE 4.5, Gemma 4: each with rules of its own.</summary>
static class OtherFamilies
{
    const string Sliding = "sliding_attention", Full = "full_attention", Chunked = "chunked_attention";

    public static IReadOnlyList<HubFamily> All { get; } = [GptOss, Llama4, Ernie, Gemma4];

    static HubFamily GptOss => new DecoderFamily
    {
        Name = "gpt_oss",
        Defaults = """
            {
                "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64,
                "num_key_value_heads": 8, "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
                "sliding_window": 128, "attention_bias": true,
                "rope_scaling": {
                    "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false, "original_max_position_embeddings": 4096
                }
            }
            """,
        Theta = 150000,
        ExpertWidth = "intermediate_size",
        NotRead = ["experts_per_token", "initial_context_length"],
        Reaches = (keys, layers) => HubReaches.ByType(keys, layers, [.. Enumerable.Range(0, layers).Select(i => i % 2 == 0 ? Sliding : Full)]),
        Further = (_, c) => c with { Sinks = true },
        Table = new(
            [
                .. HubRows.Frame, .. HubRows.Attention, HubRows.Router("mlp.router.weight"),
                new("layers.{l}.mlp.router.bias", "E", HubLayout.Row, "layers.{l}.mlp.router_bias") { Layers = HubRows.Sparse },
                .. HubRows.PackedBiases("mlp.experts"),
            ],
            HubRows.PackedByInput("mlp.experts", takesTurns: true),
            HubRows.Quantised("mlp.experts")),
        ReadsMxfp4 = true,
    };

    static HubFamily Llama4 => new DecoderFamily
    {
        Name = "llama4_text",
        Also = ["llama4"],
        Defaults = """
            {
                "vocab_size": 202048, "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384, "num_hidden_layers": 48,
                "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 131072,
                "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, "interleave_moe_layer_step": 1, "use_qk_norm": true,
                "no_rope_layer_interval": 4, "attention_chunk_size": 8192, "attn_temperature_tuning": true, "floor_scale": 8192, "attn_scale": 0.1
            }
            """,
        Theta = 500000,
        Interleaved = true,
        ExpertWidth = "intermediate_size",
        DenseWidth = "intermediate_size_mlp",
        Unread = ["vision_model.", "multi_modal_projector."],
        SparseKeys = ["interleave_moe_layer_step", "moe_layers"],
        Sparse = (keys, layers) =>
        {
            var step = keys.Count("interleave_moe_layer_step");
            var sparse = keys.Counts("moe_layers");
            return [.. Enumerable.Range(0, layers).Select(i => sparse?.Contains(i) ?? (i + 1) % step == 0)];
        },
        Reaches = (keys, layers) => HubReaches.ByType(keys, layers, [.. Rotated(keys, layers).Select(r => r ? Chunked : Full)]),
        Further = (keys, c) =>
        {
            var normed = keys.Flag("use_qk_norm");
            // Only whether a layer rotates is said here; the rest of its line is read afterwards.
            HubLayer[] layers = [.. Rotated(keys, keys.Count("num_hidden_layers")).Select(r => new HubLayer(false, default, 0, r ? new(1, 0, true) : null))];
            return c with
            {
                SharedHidden = c.ExpertHidden,
                Layers = layers,
                QueryKeyNorm = normed ? QueryKeyNorm.Unweighted : QueryKeyNorm.None,
                Temperature = keys.Flag("attn_temperature_tuning") ? new(keys.Number("attn_scale"), keys.Count("floor_scale")) : null,
            };
        },
        Table = new(
            [
                .. HubRows.Frame, .. HubRows.Attention, .. HubRows.DenseLayers("feed_forward"), HubRows.Router("feed_forward.router.weight"),
                .. HubRows.Shared("feed_forward.shared_expert"),
            ],
            HubRows.PackedByInput("feed_forward.experts")),
    };

    static bool[] Rotated(HubKeys keys, int layers)
    {
        var interval = keys.Count("no_rope_layer_interval");
        return keys.Counts("no_rope_layers") is { Length: > 0 } and var given
            ? given.Length == layers
                ? [.. given.Select(g => g != 0)]
                : throw keys.Refusal("no_rope_layers", keys.Get("no_rope_layers"), $"give {layers}, one a layer")
            : [.. Enumerable.Range(0, layers).Select(i => (i + 1) % interval != 0)];
    }

    static HubFamily Ernie => new DecoderFamily
    {
        Name = "ernie4_5_moe",
        Defaults = """
            {
                "vocab_size": 103424, "hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 28, "num_attention_heads": 20,
                "num_key_value_heads": 4, "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "pad_token_id": 0,
                "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": true, "moe_intermediate_size": 1536, "moe_num_shared_experts": 2,
                "moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1
            }
            """,
        Theta = 500000,
        Interleaved = true,
        NotRead = ["num_nextn_predict_layers", "moe_capacity"],
        Unread = ["mtp_"],
        SparseKeys = ["moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval"],
        Sparse = (keys, layers) =>
        {
            int first = keys.Count("moe_layer_start_index", least: 0), every = keys.Count("moe_layer_interval");
            var last = keys.CountOrNull("moe_layer_end_index", least: -1) is >= 0 and var end ? end : layers - 1;
            return [.. Enumerable.Range(0, layers).Select(i => (i + 1) % every == 0 && i >= first && i <= last)];
        },
        Further = (keys, c) =>
        {
            keys.Only("use_bias", "its projections have no biases here", false);
            var shared = keys.CountOrNull("moe_num_shared_experts", least: 0) ?? 0;
            return c with { QueryKeyValueBias = false, OutputBias = false, SharedHidden = shared * c.ExpertHidden };
        },
        Table = new(
            [
                .. HubRows.Frame, .. HubRows.Attention, .. HubRows.DenseLayers(), HubRows.Router("mlp.gate.weight"), .. HubRows.Shared("mlp.shared_experts"),
                HubRows.Correction("mlp.moe_statics.e_score_correction_bias", "1 E"),
            ],
            HubRows.PerExpert("mlp.experts"),
            HubRows.Packed())
        {
            Modules = [(".mlp.gate.moe_statics.", ".mlp.moe_statics.")],
        },
    };

    static HubFamily Gemma4 => new DecoderFamily
    {
        Name = "gemma4_text",
        Also = ["gemma4"],
        Defaults = """
            {
                "vocab_size": 262144, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 30, "num_attention_heads": 8,
                "num_key_value_heads": 4, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 131072,
                "rms_norm_eps": 1e-6, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "tie_word_embeddings": true, "sliding_window": 512,
                "hidden_size_per_layer_input": 256, "rope_parameters": {
                    "sliding_attention": { "rope_type": "default", "rope_theta": 10000.0 },
                    "full_attention": { "rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000.0 }
                }
            }
            """,
        NotRead = ["vocab_size_per_layer_input", "global_head_dim", "num_global_key_value_heads"],
        Unread = ["model.vision_tower.", "model.embed_vision.", "model.audio_tower.", "model.embed_audio."],
        Reaches = (keys, layers) =>
            HubReaches.ByType(keys, layers, [.. Enumerable.Range(0, layers).Select(i => (i + 1) % 6 == 0 || i == layers - 1 ? Full : Sliding)]),
        Further = (keys, c) =>
        {
            keys.Only("hidden_size_per_layer_input", "embeddings of each layer are not computed here; 0 is none", 0);
            foreach (var off in (string[])["attention_k_eq_v", "use_double_wide_mlp"]) keys.Only(off, "this program computes it switched off alone", false);
            keys.Only("num_kv_shared_layers", "layers share no keys and values here", 0);
            keys.Only("use_bidirectional_attention", "positions see none that follow here", "vision");
            if (!keys.Flag("enable_moe_block")) throw keys.Refusal("enable_moe_block", keys.Get("enable_moe_block"), "a dense model has no dialect");
            if (keys.Get("per_layer_config") is not JsonObject { Count: 0 })
                throw keys.Refusal("per_layer_config", keys.Get("per_layer_config"),
                    "layers have one head width here; {} says so, and absent means another for full attention");
            return c with
            {
                IsGemma = true,
                QueryKeyNorm = QueryKeyNorm.Head,
                AttentionScale = 1,
                EmbeddingMultiplier = Math.Sqrt(c.Width),
                LogitsSoftcap = keys.NumberOrNull("final_logit_softcapping") ?? 0,
            };
        },
        Table = new(
            [
                .. HubRows.Frame, .. HubRows.Attention, .. HubRows.Gated("mlp", "mlp", "D", HubRows.Every, ["gate_proj", "up_proj", "down_proj"]),
                HubRows.Norm("pre_feedforward_layernorm"), HubRows.Norm("post_feedforward_layernorm"), HubRows.Norm("post_feedforward_layernorm_1"),
                HubRows.Norm("pre_feedforward_layernorm_2"), HubRows.Norm("post_feedforward_layernorm_2"),
                new("layers.{l}.layer_scalar", "1", HubLayout.Row, "layers.{l}.layer_scalar") { Layers = HubRows.Every },
                HubRows.Router("router.proj.weight"),
                new("layers.{l}.router.scale", "M", HubLayout.Row, "layers.{l}.mlp.router_norm") { Layers = HubRows.Sparse },
                new("layers.{l}.router.per_expert_scale", "E", HubLayout.Row, "layers.{l}.mlp.router_expert_scale") { Layers = HubRows.Sparse },
            ],
            HubRows.Packed("experts.gate_up_proj", "experts.down_proj")),
    };
}
