using System.Text.Json.Nodes;
using SparseExperts.Formats;

namespace SparseExperts.Hub;

/// <summary>A decoder-only architecture: what is common to all is read here, and the family says what differs.</summary>
sealed record DecoderFamily : HubFamily
{
    /// <summary>The library's default of the rotary base.</summary>
    public double Theta { get; init; } = 10000;

    /// <summary>The library's default of the rotated part of a head.</summary>
    public double RotaryPart { get; init; } = 1;

    /// <summary>Pairs of neighbours are rotated, not halves.</summary>
    public bool Interleaved { get; init; }

    /// <summary>Where the hidden width of a routed expert stands.</summary>
    public string ExpertWidth { get; init; } = "moe_intermediate_size";

    /// <summary>Where that of the dense layers stands.</summary>
    public string DenseWidth { get; init; } = "intermediate_size";

    /// <summary>Which layers are sparse.</summary>
    public Func<HubKeys, int, bool[]> Sparse { get; init; } = (_, layers) => [.. Enumerable.Repeat(true, layers)];

    /// <summary>Where that stands.</summary>
    public IReadOnlyList<string> SparseKeys { get; init; } = ["num_hidden_layers"];

    /// <summary>Reach and span of each layer.</summary>
    public Func<HubKeys, int, (AttentionReach Reach, int Span, string Type)[]> Reaches { get; init; } = HubReaches.Full;

    /// <summary>What differs from the common reading.</summary>
    public Func<HubKeys, HubDecoder, HubDecoder> Further { get; init; } = (_, config) => config;

    /// <summary>Where a family counts layers that predict further tokens, if it has any.</summary>
    static readonly string[] PredictionKeys = ["num_nextn_predict_layers", "num_mtp_modules"];

    protected override HubConfig Read(HubKeys keys, HubReading reading)
    {
        int width = keys.Count("hidden_size"), heads = keys.Count("num_attention_heads"), layers = keys.Count("num_hidden_layers");
        var head = keys.CountOrNull("head_dim") ?? width / heads;
        var common = new HubDecoder
        {
            ModelType = Name,
            Version = reading.Version,
            Vocabulary = keys.Count("vocab_size"),
            Width = width,
            Heads = heads,
            KeyValueHeads = keys.CountOrNull("num_key_value_heads") ?? heads,
            HeadWidth = head,
            ValueWidth = head,
            Hidden = keys.Count(DenseWidth),
            Experts = reading.Experts,
            ExpertHidden = keys.Count(ExpertWidth),
            Dialect = reading.Dialect(keys.Where),
            NormEpsilon = keys.Positive("rms_norm_eps"),
            Activation = HubConfig.ActivationOf(keys, keys.Spelling("hidden_act", "hidden_activation")),
            Tied = reading.Tied,
            PadToken = keys.CountOrNull("pad_token_id", least: int.MinValue) is >= 0 and var pad ? pad : null,
            StartToken = keys.CountOrNull("bos_token_id", least: 0),
            EndTokens = HubConfig.Ids(keys, "eos_token_id"),
            Layers = [],
            Positions = keys.Count("max_position_embeddings"),
            AttentionScale = 1 / Math.Sqrt(head),
            QueryKeyValueBias = keys.Flag("attention_bias"),
            OutputBias = keys.Flag("attention_bias"),
            AttentionDropout = keys.NumberOrNull("attention_dropout") ?? 0,
            FurtherLayers = PredictionKeys.Where(NotRead.Contains).Sum(key => keys.CountOrNull(key, least: 0) ?? 0),
        };
        var config = Further(keys, common);
        var rotary = new RotaryReader(keys, Theta, RotaryPart);
        var (sparse, reaches) = (Sparse(keys, layers), Reaches(keys, layers));
        var none = config.Layers.Select(l => l.Rotary is null).ToArray();
        config = config with
        {
            Layers = [.. reaches.Select((r, i) => new HubLayer(sparse[i], r.Reach, r.Span,
                none.Length > 0 && none[i] ? null : rotary.Read(r.Type, config.Latent?.RotaryWidth ?? config.HeadWidth, Interleaved)))],
        };
        if (config.SharedHidden == 0) config = config with { Dialect = config.Dialect with { SharedExpert = false, SharedGate = false } };
        return Checked(keys, WithScale(config));
    }

    /// <summary>DeepSeek-V3 with YaRN: the softmax scale grows with the factor.</summary>
    static HubDecoder WithScale(HubDecoder config)
    {
        if (config.Latent is null || config.Layers[0].Rotary is not { MScaleAllDimensions: not 0 } rotary || config.ModelType == "deepseek_v2") return config;
        var growth = RotaryReader.Growth(rotary.Factor, rotary.MScaleAllDimensions);
        return config with { AttentionScale = config.AttentionScale * growth * growth };
    }

    HubDecoder Checked(HubKeys keys, HubDecoder c)
    {
        void Require(bool condition, string line)
        {
            if (!condition) throw new InvalidFileException($"{keys.Where}: {line}; correct it");
        }
        Require(c.Heads % c.KeyValueHeads == 0, $"num_attention_heads {c.Heads} is no multiple of num_key_value_heads {c.KeyValueHeads}");
        Require(c.Latent is null || c.KeyValueHeads == c.Heads,
            $"num_key_value_heads {c.KeyValueHeads}: latent attention has as many as num_attention_heads {c.Heads}");
        string Said(string key) => $"{key} {keys.Get(key)!.ToJsonString()}{(keys.Has(key) ? "" : " (the library's default)")}";
        Require(c.Layers.Any(l => l.IsSparse),
            $"none of the {c.Layers.Count} layers is sparse by {string.Join(", ", SparseKeys.Where(k => keys.Get(k) is not null).Select(Said))}");
        Require(c.AttentionDropout is >= 0 and < 1, $"attention_dropout {c.AttentionDropout} is not within 0 and 1");
        return c;
    }
}

/// <summary>Which columns the layers see, as the families' configurations say it.</summary>
static class HubReaches
{
    const string Sliding = "sliding_attention", Chunked = "chunked_attention", All = "full_attention";

    public static (AttentionReach, int, string)[] Full(HubKeys keys, int layers)
    {
        if (keys.Texts("layer_types", layers) is { } types && types.FirstOrDefault(t => t != All) is { } other)
            throw keys.Refusal("layer_types", keys.Get("layer_types"),
                $"layers of type {JsonValue.Create(other).ToJsonString()} are not this family's here; all see the whole text");
        return [.. Enumerable.Repeat((AttentionReach.Full, 0, All), layers)];
    }

    /// <summary>All layers slide where there is a window (Mixtral).</summary>
    public static (AttentionReach, int, string)[] Window(HubKeys keys, int layers) => keys.CountOrNull("sliding_window", least: 0) is > 0 and var span
        ? [.. Enumerable.Repeat((AttentionReach.Sliding, span, Sliding), layers)]
        : Full(keys, layers);

    /// <summary>The window counts only where it is switched on (Qwen); which layers slide is said by layer_types then.</summary>
    public static (AttentionReach, int, string)[] SwitchedWindow(HubKeys keys, int layers)
    {
        keys.Known(["max_window_layers", "sliding_window"]);
        if (!keys.Flag("use_sliding_window")) return Full(keys, layers);
        if (keys.Get("layer_types") is null)
            throw keys.Refusal("use_sliding_window", keys.Get("use_sliding_window"), "versions of the library differ in which layers slide; write layer_types");
        return ByType(keys, layers, []);
    }

    /// <summary>As layer_types says, or the default where it is absent.</summary>
    public static (AttentionReach, int, string)[] ByType(HubKeys keys, int layers, string[] otherwise)
    {
        var types = keys.Texts("layer_types", layers) ?? otherwise;
        return [.. types.Select(type => type switch
        {
            All => (AttentionReach.Full, 0, type),
            Sliding => (AttentionReach.Sliding, keys.Count("sliding_window"), type),
            Chunked => (AttentionReach.Chunked, keys.Count("attention_chunk_size"), type),
            _ => throw keys.Refusal("layer_types", keys.Get("layer_types"), $"this program knows {All}, {Sliding} and {Chunked}, and no {type}"),
        })];
    }
}
