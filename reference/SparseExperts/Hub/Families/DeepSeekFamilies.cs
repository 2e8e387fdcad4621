namespace SparseExperts.Hub.Families;

/// <summary>DeepSeek's latent attention, and GLM-4.5, which has DeepSeek's experts behind plain attention.</summary>
static class DeepSeekFamilies
{
    static readonly HubRow[] Routers = [HubRows.Router("mlp.gate.weight"), .. HubRows.Shared("mlp.shared_experts")];

    public static IReadOnlyList<HubFamily> All { get; } =
    [
        new DecoderFamily
        {
            Name = "deepseek_v2",
            Defaults = """
                {
                    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
                    "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "bos_token_id": 1, "eos_token_id": 2,
                    "first_k_dense_replace": 0, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                    "v_head_dim": 128, "n_shared_experts": 2, "moe_intermediate_size": 1407
                }
                """,
            Interleaved = true,
            Sparse = BehindTheFirst,
            SparseKeys = ["first_k_dense_replace"],
            // The balance loss of the model's own code, which the library's does not have.
            NotRead = ["aux_loss_alpha", "seq_aux", "head_dim"],
            Further = (keys, c) =>
            {
                keys.Only("mlp_bias", "its feed-forward layers have no biases here", false);
                keys.Only("moe_layer_freq", "all layers behind the first dense ones are sparse", 1);
                return Latent(keys, Shared(keys, c));
            },
            Table = new(
                [.. HubRows.Frame, .. HubRows.Latent, .. HubRows.DenseLayers(), .. Routers],
                HubRows.PerExpert("mlp.experts"),
                HubRows.Packed()),
        },
        new DecoderFamily
        {
            Name = "deepseek_v3",
            Defaults = """
                {
                    "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "num_hidden_layers": 61, "num_attention_heads": 128,
                    "num_key_value_heads": 128, "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "bos_token_id": 0,
                    "eos_token_id": 1, "first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
                    "qk_rope_head_dim": 64, "v_head_dim": 128, "n_shared_experts": 1, "moe_intermediate_size": 2048, "rope_interleave": true
                }
                """,
            Interleaved = true,
            Sparse = BehindTheFirst,
            SparseKeys = ["first_k_dense_replace"],
            NotRead = ["aux_loss_alpha", "seq_aux", "head_dim", "num_nextn_predict_layers"],
            Further = (keys, c) =>
            {
                keys.Only("rope_interleave", "this program rotates pairs of neighbours for this family", true);
                keys.Only("moe_layer_freq", "all layers behind the first dense ones are sparse", 1);
                return Latent(keys, Shared(keys, c));
            },
            Table = new(
                [.. HubRows.Frame, .. HubRows.Latent, .. HubRows.DenseLayers(), .. Routers, HubRows.Correction("mlp.gate.e_score_correction_bias")],
                HubRows.PerExpert("mlp.experts"),
                HubRows.Packed()),
        },
        new DecoderFamily
        {
            Name = "glm4_moe",
            Defaults = """
                {
                    "vocab_size": 151552, "hidden_size": 4096, "intermediate_size": 10944, "num_hidden_layers": 46, "num_attention_heads": 96,
                    "num_key_value_heads": 8, "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
                    "first_k_dense_replace": 1, "n_shared_experts": 1, "moe_intermediate_size": 1408
                }
                """,
            RotaryPart = 0.5,
            Sparse = BehindTheFirst,
            SparseKeys = ["first_k_dense_replace"],
            NotRead = ["num_nextn_predict_layers"],
            Further = (keys, c) => Shared(keys, c) with
            {
                OutputBias = false,
                QueryKeyNorm = keys.Flag("use_qk_norm") ? QueryKeyNorm.Head : QueryKeyNorm.None,
            },
            Table = new(
                [.. HubRows.Frame, .. HubRows.Attention, .. HubRows.DenseLayers(), .. Routers, HubRows.Correction("mlp.gate.e_score_correction_bias")],
                HubRows.PerExpert("mlp.experts"),
                HubRows.Packed()),
        },
    ];

    static bool[] BehindTheFirst(HubKeys keys, int layers)
    {
        var dense = keys.Count("first_k_dense_replace", least: 0);
        return [.. Enumerable.Range(0, layers).Select(i => i >= dense)];
    }

    static HubDecoder Shared(HubKeys keys, HubDecoder c) => c with { SharedHidden = (keys.CountOrNull("n_shared_experts", least: 0) ?? 0) * c.ExpertHidden };

    static HubDecoder Latent(HubKeys keys, HubDecoder c)
    {
        var latent = new HubLatent(keys.CountOrNull("q_lora_rank"), keys.Count("kv_lora_rank"), keys.Count("qk_nope_head_dim"), keys.Count("qk_rope_head_dim"));
        var head = latent.PlainWidth + latent.RotaryWidth;
        keys.Only("qk_head_dim", "it is qk_nope_head_dim + qk_rope_head_dim; leave it out", head);
        return c with { Latent = latent, HeadWidth = head, ValueWidth = keys.Count("v_head_dim"), AttentionScale = 1 / Math.Sqrt(head) };
    }
}
