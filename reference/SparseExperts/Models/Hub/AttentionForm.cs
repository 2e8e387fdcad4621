using SparseExperts.Hub;

namespace SparseExperts.Models.Hub;

/// <summary>
/// The self-attention of one layer: scores = scale·q·kᵀ, masked, softmax, times v, with what its family does around them. Key heads serve heads / key heads
/// queries each, in order.
/// </summary>
public sealed record AttentionForm
{
    public required int Heads { get; init; }
    public required int KeyHeads { get; init; }

    /// <summary>Width of a head's queries and keys, and of its values.</summary>
    public required int HeadWidth { get; init; }
    public required int ValueWidth { get; init; }
    public required double Scale { get; init; }

    /// <summary>Whether the projections have biases.</summary>
    public bool InputBias { get; init; }
    public bool OutputBias { get; init; }

    /// <summary>Queries, keys and values are limited to ± this.</summary>
    public double? Clip { get; init; }

    /// <summary>A learned score of each head that competes with the keys and adds nothing.</summary>
    public bool Sinks { get; init; }
    public QueryKeyNorm Norm { get; init; }

    /// <summary>Values are normalised too, without a weight.</summary>
    public bool ValueNorm { get; init; }

    /// <summary>Null where a layer has no positions.</summary>
    public HubRotary? Rotary { get; init; }

    /// <summary>The first column of a head that is turned.</summary>
    public int RotaryFirst { get; init; }

    /// <summary>The rotation is computed in float32 and rounded once; else every op of it is rounded to the model's format.</summary>
    public bool RotaryInFloat32 { get; init; }

    /// <summary>Which columns a query sees, padding counted; the span of a window or a chunk.</summary>
    public AttentionReach Reach { get; init; }
    public int Span { get; init; }
    public HubLatent? Latent { get; init; }
    public HubTemperature? Temperature { get; init; }

    /// <summary>Softmax in the model's format, the row's maximum subtracted first and rounded; else in float32.</summary>
    public bool SoftmaxInFormat { get; init; }

    /// <summary>Columns behind its own that a query sees: none, but where a checker looks for what somebody did instead; so are the next three.</summary>
    internal int Ahead { get; init; }
    internal bool NormBehindRotary { get; init; }
    internal bool KeysTakeTurns { get; init; }
    internal bool ChunksFromColumnZero { get; init; }

    public int QueryColumns => Heads * HeadWidth;
    public int KeyColumns => KeyHeads * HeadWidth;
    public int ValueColumns => KeyHeads * ValueWidth;
    public int OutputColumns => Heads * ValueWidth;

    /// <summary>That of one layer of a configuration.</summary>
    internal static AttentionForm Of(HubDecoder config, HubLayer layer)
    {
        var latent = config.Latent;
        return new()
        {
            Heads = config.Heads,
            KeyHeads = latent is null ? config.KeyValueHeads : config.Heads,
            HeadWidth = config.HeadWidth,
            ValueWidth = config.ValueWidth,
            Scale = config.AttentionScale,
            InputBias = config.QueryKeyValueBias,
            OutputBias = config.OutputBias,
            Clip = config.ClipQueryKeyValue,
            Sinks = config.Sinks,
            Norm = config.QueryKeyNorm == QueryKeyNorm.Unweighted && layer.Rotary is null ? QueryKeyNorm.None : config.QueryKeyNorm,
            ValueNorm = config.IsGemma,
            Rotary = layer.Rotary,
            RotaryFirst = latent?.PlainWidth ?? 0,
            RotaryInFloat32 = config.ModelType is "deepseek_v2" or "llama4_text" or "ernie4_5_moe",
            Reach = layer.Reach,
            Span = layer.Span,
            Latent = latent,
            Temperature = layer.Rotary is null ? config.Temperature : null,
            SoftmaxInFormat = config.Sinks,
        };
    }
}
