namespace SparseExperts.Hub.Families;

/// <summary>Qwen's decoders with softmax attention.</summary>
static class QwenFamilies
{
    public static IReadOnlyList<HubFamily> All { get; } =
    [
        new DecoderFamily
        {
            Name = "qwen2_moe",
            Defaults = """
                {
                    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16,
                    "num_key_value_heads": 16, "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
                    "decoder_sparse_step": 1, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "qkv_bias": true
                }
                """,
            Sparse = Steps,
            SparseKeys = ["decoder_sparse_step", "mlp_only_layers"],
            Reaches = HubReaches.SwitchedWindow,
            Further = (keys, c) => c with
            {
                QueryKeyValueBias = keys.Flag("qkv_bias"),
                OutputBias = false,
                SharedHidden = keys.Count("shared_expert_intermediate_size"),
            },
            Table = new(
                [
                    .. HubRows.Frame, .. HubRows.Attention, .. HubRows.DenseLayers(), HubRows.Router("mlp.gate.weight"), .. HubRows.Shared("mlp.shared_expert"),
                    new("layers.{l}.mlp.shared_expert_gate.weight", "1 M", HubLayout.Transposed, "layers.{l}.mlp.shared.gate") { Layers = HubRows.Sparse },
                ],
                HubRows.PerExpert("mlp.experts"),
                HubRows.Packed()),
        },
        Qwen3 with
        {
            Name = "qwen3_moe",
            Defaults = """
                {
                    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24, "num_attention_heads": 32,
                    "num_key_value_heads": 4, "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
                    "decoder_sparse_step": 1, "moe_intermediate_size": 768
                }
                """,
            Reaches = (keys, layers) =>
            {
                keys.Known(["max_window_layers", "sliding_window"]);
                return keys.Flag("use_sliding_window") ? HubReaches.Window(keys, layers) : HubReaches.Full(keys, layers);
            },
        },
        Qwen3 with
        {
            Name = "qwen3_vl_moe_text",
            Also = ["qwen3_vl_moe"],
            Defaults = """
                {
                    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16,
                    "num_key_value_heads": 16, "hidden_act": "silu", "max_position_embeddings": 128000, "rms_norm_eps": 1e-6,
                    "decoder_sparse_step": 1, "moe_intermediate_size": 1408
                }
                """,
            Theta = 500000,
            Unread = ["model.visual.", "visual."],
            Table = Qwen3.Table with { ExpertForms = [HubRows.PackedByInput("mlp.experts"), HubRows.Packed(), HubRows.PerExpert("mlp.experts")] },
        },
    ];

    static DecoderFamily Qwen3 => new()
    {
        Name = "",
        Defaults = "{}",
        Sparse = Steps,
        SparseKeys = ["decoder_sparse_step", "mlp_only_layers"],
        Further = (_, c) => c with { QueryKeyNorm = QueryKeyNorm.Head },
        Table = new(
            [.. HubRows.Frame, .. HubRows.Attention, .. HubRows.DenseLayers(), HubRows.Router("mlp.gate.weight")],
            HubRows.PerExpert("mlp.experts"),
            HubRows.Packed()),
    };

    /// <summary>Every so manyth layer, and never those that are named.</summary>
    static bool[] Steps(HubKeys keys, int layers)
    {
        var (step, dense) = (keys.Count("decoder_sparse_step"), keys.Counts("mlp_only_layers") ?? []);
        return [.. Enumerable.Range(0, layers).Select(i => (i + 1) % step == 0 && !dense.Contains(i))];
    }
}
