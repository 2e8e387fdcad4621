namespace SparseExperts.Hub.Families;

/// <summary>Switch Transformers in T5's form.</summary>
sealed record SwitchFamily : HubFamily
{
    public static HubFamily Only { get; } = new SwitchFamily
    {
        Name = "switch_transformers",
        Defaults = """
            {
                "vocab_size": 32128, "d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_sparse_encoder_layers": 3,
                "num_decoder_layers": 12, "num_sparse_decoder_layers": 3, "num_heads": 12, "relative_attention_num_buckets": 32,
                "relative_attention_max_distance": 128, "dropout_rate": 0.1, "layer_norm_epsilon": 1e-6, "dense_act_fn": "relu", "pad_token_id": 0,
                "eos_token_id": 1, "tie_word_embeddings": true, "decoder_start_token_id": 0
            }
            """,
        NotRead = ["feed_forward_proj", "add_cross_attention", "n_positions"],
        Table = new(
            [
                new("shared.weight", "V M", HubLayout.Plain, "shared"),
                new("lm_head.weight", "V M", HubLayout.Transposed, "lm_head") { If = c => !c.Tied },
                .. Stack("encoder", cross: false), .. Stack("decoder", cross: true),
            ],
            [.. Experts("encoder", 1), .. Experts("decoder", 2)])
        {
            Prefix = "",
        },
    };

    static IReadOnlyList<bool> Blocks(HubConfig c, string stack) => stack == "encoder" ? ((HubSwitch)c).Encoder : ((HubSwitch)c).Decoder;

    static Func<HubConfig, IEnumerable<int>> Those(string stack, Func<bool, bool> which) =>
        c => Blocks(c, stack).Index().Where(b => which(b.Item)).Select(b => b.Index);

    static HubRow[] Stack(string stack, bool cross)
    {
        var (every, dense) = (Those(stack, _ => true), Those(stack, sparse => !sparse));
        var (block, last) = ($"{stack}.block.{{l}}.layer.", cross ? 2 : 1);
        HubRow Linear(string name, string shape) => new($"{block}{name}.weight", shape, HubLayout.Transposed, $"{block}{name}") { Layers = every };
        HubRow Norm(int layer) => new($"{block}{layer}.layer_norm.weight", "M", HubLayout.Row, $"{block}{layer}.layer_norm") { Layers = every };
        HubRow[] Attention(string name) => [Linear($"{name}.q", "Q M"), Linear($"{name}.k", "Q M"), Linear($"{name}.v", "Q M"), Linear($"{name}.o", "M Q")];
        const string bias = "SelfAttention.relative_attention_bias";
        return
        [
            .. Attention("0.SelfAttention"),
            new($"{stack}.block.0.layer.0.{bias}.weight", "N H", HubLayout.Plain, $"{stack}.block.0.layer.0.{bias}"),
            Norm(0),
            .. cross ? [.. Attention("1.EncDecAttention"), Norm(1)] : Array.Empty<HubRow>(),
            Norm(last),
            Linear($"{last}.mlp.wi", "D M") with { Layers = dense },
            Linear($"{last}.mlp.wo", "M D") with { Layers = dense },
            new($"{stack}.final_layer_norm.weight", "M", HubLayout.Row, $"{stack}.final_layer_norm"),
        ];
    }

    static HubRow[] Experts(string stack, int layer)
    {
        var sparse = Those(stack, s => s);
        var mlp = $"{stack}.block.{{l}}.layer.{layer}.mlp.";
        return
        [
            new($"{mlp}router.classifier.weight", "E M", HubLayout.Transposed, $"{mlp}router") { Layers = sparse },
            new($"{mlp}experts.expert_{{e}}.wi.weight", "F M", HubLayout.Transposed, $"{mlp}experts.wi") { Layers = sparse },
            new($"{mlp}experts.expert_{{e}}.wo.weight", "M F", HubLayout.Transposed, $"{mlp}experts.wo") { Layers = sparse },
        ];
    }

    protected override HubConfig Read(HubKeys keys, HubReading reading)
    {
        keys.Only("is_encoder_decoder", "this architecture has both", true);
        keys.Only("is_gated_act", "its feed-forward layers have no gate", false);
        keys.Only("router_bias", "its routers have no biases here", false);
        keys.Known(["use_cache", "is_decoder"]);
        if (keys.Text("feed_forward_proj") is { } form && form != "relu" && form != keys.Text("dense_act_fn"))
            throw keys.Refusal("feed_forward_proj", keys.Get("feed_forward_proj"), "its feed-forward layers have the activation of dense_act_fn and no gate");
        int layers = keys.Count("num_layers"), decoder = keys.CountOrNull("num_decoder_layers") ?? layers, hidden = keys.Count("d_ff");
        var width = keys.Count("d_model");
        var (encoderStep, decoderStep) = (Step(keys, reading.Version, "encoder", layers), Step(keys, reading.Version, "decoder", decoder));
        return new HubSwitch
        {
            ModelType = Name,
            Version = reading.Version,
            Vocabulary = keys.Count("vocab_size"),
            Width = width,
            Heads = keys.Count("num_heads"),
            HeadWidth = keys.Count("d_kv"),
            Hidden = hidden,
            Experts = reading.Experts,
            ExpertHidden = hidden,
            Dialect = reading.Dialect(keys.Where),
            NormEpsilon = keys.Positive("layer_norm_epsilon"),
            Activation = HubConfig.ActivationOf(keys, "dense_act_fn"),
            Tied = reading.Tied,
            PadToken = keys.CountOrNull("pad_token_id", least: 0),
            StartToken = keys.CountOrNull("bos_token_id", least: 0),
            EndTokens = HubConfig.Ids(keys, "eos_token_id"),
            Encoder = [.. Enumerable.Range(0, layers).Select(i => IsSparse(i, encoderStep))],
            Decoder = [.. Enumerable.Range(0, decoder).Select(i => IsSparse(i, decoderStep))],
            EncoderStep = encoderStep,
            DecoderStep = decoderStep,
            Buckets = keys.Count("relative_attention_num_buckets", least: 4),
            MaxDistance = keys.Count("relative_attention_max_distance"),
            Dropout = keys.Number("dropout_rate") is >= 0 and < 1 and var rate
                ? rate
                : throw keys.Refusal("dropout_rate", keys.Get("dropout_rate"), "give a rate within 0 and 1"),
            DecoderStart = keys.Count("decoder_start_token_id", least: 0),
        };
    }

    static bool IsSparse(int block, int step) => step == 1 || (step > 0 && block % step == 1);

    /// <summary>What the file says, else blocks divided by sparse blocks; without sparse blocks transformers 4 still makes block 1 one.</summary>
    static int Step(HubKeys keys, int version, string stack, int blocks)
    {
        var sparse = keys.Count($"num_sparse_{stack}_layers", least: 0);
        if (keys.CountOrNull($"{stack}_sparse_step", least: 0) is { } said) return said;
        return sparse > 0 ? blocks / sparse : version == 4 ? blocks : 0;
    }
}
