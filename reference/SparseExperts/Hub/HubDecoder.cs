namespace SparseExperts.Hub;

/// <summary>Which columns a query sees.</summary>
public enum AttentionReach
{
    /// <summary>All up to its own.</summary>
    Full,

    /// <summary>The last <see cref="HubLayer.Span"/>, its own among them.</summary>
    Sliding,

    /// <summary>Those of its own piece of <see cref="HubLayer.Span"/> columns, counted from the row's first unmasked one.</summary>
    Chunked,
}

/// <summary>Norms on queries and keys.</summary>
public enum QueryKeyNorm
{
    None,

    /// <summary>RMS norm of each head, weights [head width], before the rotation.</summary>
    Head,

    /// <summary>RMS norm over all heads, weights of their whole width, before they are split.</summary>
    Whole,

    /// <summary>x / √(mean x² + ε) of each head without weights, behind the rotation; only where a layer rotates (Llama 4).</summary>
    Unweighted,
}

/// <summary>A layer of a decoder.</summary>
/// <param name="IsSparse">Routed experts in place of the dense feed-forward layer (Gemma 4: beside it).</param>
/// <param name="Span">Of a sliding or chunked reach.</param>
/// <param name="Rotary">Null where queries and keys are not rotated.</param>
public sealed record HubLayer(bool IsSparse, AttentionReach Reach, int Span, HubRotary? Rotary);

/// <summary>Multi-head latent attention (DeepSeek-V2, section 2.1).</summary>
/// <param name="QueryRank">Null where queries are projected at once.</param>
/// <param name="PlainWidth">Numbers of a query or key head that are not rotated.</param>
/// <param name="RotaryWidth">Those that are; keys share theirs among the heads.</param>
public sealed record HubLatent(int? QueryRank, int KeyValueRank, int PlainWidth, int RotaryWidth)
{
    /// <summary>ε of the norms behind both compressions, whatever the model's is.</summary>
    public double NormEpsilon { get; init; } = 1e-6;
}

/// <summary>Llama 4: queries of layers without rotation are multiplied by 1 + scale·ln(1 + ⌊(column + 1) / floor⌋).</summary>
public sealed record HubTemperature(double Scale, int Floor);

/// <summary>A decoder-only model of the hub.</summary>
public sealed record HubDecoder : HubConfig
{
    public required IReadOnlyList<HubLayer> Layers { get; init; }

    /// <summary>Positions that the model was made for.</summary>
    public required int Positions { get; init; }

    /// <summary>Layers behind the last one that predict further tokens; the library's model has none of them.</summary>
    public int FurtherLayers { get; init; }

    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a query or key head.</summary>
    public required int HeadWidth { get; init; }

    /// <summary>Width of a value head.</summary>
    public required int ValueWidth { get; init; }

    /// <summary>Hidden width of the shared experts together; 0 where there are none.</summary>
    public int SharedHidden { get; init; }

    /// <summary>Factor on q·k before the softmax.</summary>
    public required double AttentionScale { get; init; }

    /// <summary>Biases of the projections of queries, keys and values (of both compressions in latent attention), and of the one behind attention.</summary>
    public bool QueryKeyValueBias { get; init; }
    public bool OutputBias { get; init; }

    public QueryKeyNorm QueryKeyNorm { get; init; }
    public HubLatent? Latent { get; init; }
    public HubTemperature? Temperature { get; init; }

    /// <summary>A learned logit a head that takes part in the softmax and has no value (GPT-OSS).</summary>
    public bool Sinks { get; init; }

    /// <summary>Queries, keys and values are limited to ± this number (OLMoE).</summary>
    public double? ClipQueryKeyValue { get; init; }

    /// <summary>Values are divided by their root mean square, without weights; four norms a layer and a factor (Gemma 4).</summary>
    public bool IsGemma { get; init; }

    /// <summary>Factors on the embedding and on each residual sum's new part; the logits are divided by the third.</summary>
    public double EmbeddingMultiplier { get; init; } = 1;
    public double ResidualMultiplier { get; init; } = 1;
    public double LogitsDivisor { get; init; } = 1;

    /// <summary>Logits become c·tanh(l/c); 0 is off.</summary>
    public double LogitsSoftcap { get; init; }

    /// <summary>Dropout of attention's probabilities while training.</summary>
    public double AttentionDropout { get; init; }

    public bool IsSparse(int layer) => Layers[layer].IsSparse;
}
