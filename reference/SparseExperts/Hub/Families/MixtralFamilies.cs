namespace SparseExperts.Hub.Families;

/// <summary>Mixtral, OLMoE, MiniMax-M2, Granite: every layer sparse.</summary>
static class MixtralFamilies
{
    static readonly HubRow[] MixtralExperts =
        [HubRows.Router("block_sparse_moe.gate.weight"), .. HubRows.PerExpert("block_sparse_moe.experts", "w1", "w3", "w2")];

    /// <summary>Under the hub's names for what is around them.</summary>
    static readonly HubRow[] MixtralPacked =
    [
        HubRows.Router("block_sparse_moe.gate.weight"),
        .. HubRows.Packed("block_sparse_moe.experts.gate_up_proj", "block_sparse_moe.experts.down_proj"),
    ];

    public static IReadOnlyList<HubFamily> All { get; } =
    [
        new DecoderFamily
        {
            Name = "mixtral",
            Defaults = """
                {
                    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
                    "num_key_value_heads": 8, "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "bos_token_id": 1,
                    "eos_token_id": 2
                }
                """,
            Theta = 1e6,
            ExpertWidth = "intermediate_size",
            Reaches = HubReaches.Window,
            // Its attention never has biases, whatever a file says.
            Further = (keys, c) => WithoutBias(keys, c),
            Table = new(
                [.. HubRows.Frame, .. HubRows.Attention],
                MixtralExperts,
                [HubRows.Router("mlp.gate.weight"), .. HubRows.Packed()],
                MixtralPacked),
        },
        new DecoderFamily
        {
            Name = "minimax_m2",
            Defaults = """
                {
                    "vocab_size": 200064, "hidden_size": 3072, "intermediate_size": 1536, "num_hidden_layers": 62, "num_attention_heads": 48,
                    "num_key_value_heads": 8, "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 196608, "rms_norm_eps": 1e-6,
                    "bos_token_id": 200034, "eos_token_id": 200020
                }
                """,
            Theta = 5e6,
            ExpertWidth = "intermediate_size",
            NotRead = ["use_mtp", "num_mtp_modules", "mtp_transformer_layers"],
            Unread = ["mtp."],
            Further = (keys, c) =>
            {
                keys.Only("use_qk_norm", "its attention normalises queries and keys", true);
                keys.Only("qk_norm_type", "its attention normalises queries and keys over their whole width", "per_layer");
                keys.Only("shared_intermediate_size", "it has no shared expert", 0);
                if (keys.Counts("attn_type_list") is { } types && types.Any(t => t != 1))
                    throw keys.Refusal("attn_type_list", keys.Get("attn_type_list"), "this program has softmax attention (1) alone");
                keys.Only("attention_bias", "its attention has no biases", false);
                return WithoutBias(keys, c) with { QueryKeyNorm = QueryKeyNorm.Whole };
            },
            Table = new(
                [.. HubRows.Frame, .. HubRows.Attention],
                [.. MixtralExperts, HubRows.Correction("block_sparse_moe.e_score_correction_bias")],
                [HubRows.Router("mlp.gate.weight"), .. HubRows.Packed(), HubRows.Correction("mlp.e_score_correction_bias")],
                [.. MixtralPacked, HubRows.Correction("block_sparse_moe.e_score_correction_bias")]),
        },
        new DecoderFamily
        {
            Name = "olmoe",
            Defaults = """
                {
                    "vocab_size": 50304, "hidden_size": 2048, "intermediate_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16,
                    "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "pad_token_id": 1, "eos_token_id": 50279
                }
                """,
            ExpertWidth = "intermediate_size",
            Further = (keys, c) => c with { QueryKeyNorm = QueryKeyNorm.Whole, ClipQueryKeyValue = keys.NumberOrNull("clip_qkv") },
            Table = new(
                [.. HubRows.Frame, .. HubRows.Attention, HubRows.Router("mlp.gate.weight")],
                HubRows.PerExpert("mlp.experts"),
                HubRows.Packed()),
        },
        new DecoderFamily
        {
            Name = "granitemoe",
            Defaults = """
                {
                    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
                    "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "bos_token_id": 1, "eos_token_id": 2,
                    "embedding_multiplier": 1.0, "residual_multiplier": 1.0, "attention_multiplier": 1.0, "logits_scaling": 1.0
                }
                """,
            ExpertWidth = "intermediate_size",
            Further = (keys, c) => c with
            {
                AttentionScale = keys.Number("attention_multiplier"),
                EmbeddingMultiplier = keys.Number("embedding_multiplier"),
                ResidualMultiplier = keys.Number("residual_multiplier"),
                LogitsDivisor = keys.Positive("logits_scaling"),
            },
            Table = new(
                [.. HubRows.Frame, .. HubRows.Attention],
                [
                    HubRows.Router("block_sparse_moe.router.layer.weight"),
                    .. HubRows.Packed("block_sparse_moe.input_linear.weight", "block_sparse_moe.output_linear.weight"),
                ],
                [
                    HubRows.Router("block_sparse_moe.router.weight"),
                    .. HubRows.Packed("block_sparse_moe.experts.gate_up_proj", "block_sparse_moe.experts.down_proj"),
                ]),
        },
    ];

    static HubDecoder WithoutBias(HubKeys keys, HubDecoder config)
    {
        keys.Only("attention_bias", "its attention has no biases", false);
        return config with { QueryKeyValueBias = false, OutputBias = false };
    }
}
