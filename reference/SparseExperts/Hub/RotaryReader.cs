using System.Text.Json.Nodes;

namespace SparseExperts.Hub;

/// <summary>
/// Rotary settings in both forms: <c>rope_theta</c> and <c>rope_scaling</c> (transformers 4), <c>rope_parameters</c> (5), which may have a part for each
/// type of layer. A file that has both forms has to say the same in both.
/// </summary>
sealed class RotaryReader
{
    static readonly string[] OldForm = ["rope_theta", "rope_scaling", "partial_rotary_factor", "rotary_dim", "rope_local_base_freq"];

    readonly HubKeys _keys;
    readonly int _positions;
    readonly double _theta, _partial;

    /// <param name="theta">The library's default of θ.</param>
    /// <param name="partial">The library's default of the rotated part.</param>
    public RotaryReader(HubKeys keys, double theta, double partial = 1) =>
        (_keys, _positions, _theta, _partial) = (keys, keys.Count("max_position_embeddings"), theta, partial);

    /// <param name="layerType">Type of the layer, where the settings have a part for each.</param>
    /// <param name="head">Width of what is rotated, before the partial factor.</param>
    public HubRotary Read(string layerType, int head, bool interleaved)
    {
        _keys.Known(OldForm);
        if (_keys.Part("rope_parameters") is not { } part) return Old(head, interleaved);
        if (part.Names.Any(n => part.Get(n) is JsonObject))
            return New(part.Part(layerType) ?? throw part.Refusal(layerType, null, "give every type of layer its rotary settings"), head, interleaved);
        var read = New(part, head, interleaved);
        if ((_keys.Has("rope_theta") || _keys.Has("rope_scaling")) && Old(head, interleaved) is var old && old != read)
        {
            var what = old.Theta != read.Theta ? "rope_theta" : old.Width != read.Width ? "partial_rotary_factor" : "scaling";
            throw _keys.Refusal("rope_parameters", _keys.Get("rope_parameters"),
                $"the older form beside it ({string.Join(", ", OldForm.Where(_keys.Has))}) has another {what}; keep one of the two forms");
        }
        return read;
    }

    HubRotary New(HubKeys part, int head, bool interleaved) =>
        Scaled(part, part.NumberOrNull("rope_theta") ?? _theta, Partial(head, part.NumberOrNull("partial_rotary_factor")), head, interleaved);

    HubRotary Old(int head, bool interleaved)
    {
        if (_keys.Get("rope_local_base_freq") is { } local)
            throw _keys.Refusal("rope_local_base_freq", local, "write rope_parameters with a part a layer type");
        var theta = _keys.NumberOrNull("rope_theta") ?? _theta;
        var part = _keys.Part("rope_scaling") ?? new([], [], _keys.Where, _keys.At + "rope_scaling.");
        if (part.NumberOrNull("rope_theta") is { } other && other != theta)
            throw part.Refusal("rope_theta", JsonValue.Create(other), $"rope_theta beside it is {theta:R}; keep one of the two");
        return Scaled(part, theta, Partial(head), head, interleaved);
    }

    /// <summary>The rotated part of a head, or its width (MiniMax).</summary>
    double Partial(int head, double? given = null)
    {
        var part = given ?? _keys.NumberOrNull("partial_rotary_factor");
        if (_keys.CountOrNull("rotary_dim") is not { } width) return part ?? _partial;
        return part is null || (int)(head * part.Value) == width ? (double)width / head
            : throw _keys.Refusal("rotary_dim", JsonValue.Create(width), $"partial_rotary_factor {part:R} of {head} is another width; keep one of the two");
    }

    HubRotary Scaled(HubKeys part, double theta, double partial, int head, bool interleaved)
    {
        // Of images: positions of a text are the same in all three.
        part.Known(["type", "rope_theta", "partial_rotary_factor", "mrope_section", "mrope_interleaved"]);
        if (theta <= 0) throw part.Refusal("rope_theta", JsonValue.Create(theta), "give a number above 0");
        var width = (int)(head * partial);
        if (width < 2 || width % 2 != 0 || width > head)
            throw part.Refusal("partial_rotary_factor", JsonValue.Create(partial), $"of {head} it has to leave an even number to rotate");
        var rotary = new HubRotary(theta, width, interleaved) { OriginalPositions = _positions, Rotated = width };
        string? kind = part.Text("rope_type"), older = part.Text("type");
        if (kind is not null && older is not null && Plain(kind) != Plain(older))
            throw part.Refusal("type", JsonValue.Create(older), $"rope_type beside it is {JsonValue.Create(kind).ToJsonString()}; keep one of the two");
        kind ??= older ?? "default";
        rotary = kind switch
        {
            "default" or "mrope" => rotary,
            "linear" => rotary with { Scaling = RotaryScaling.Linear, Factor = part.Positive("factor") },
            "dynamic" => rotary with { Scaling = RotaryScaling.Dynamic, Factor = part.Positive("factor"), OriginalPositions = Original(part) },
            "yarn" => Yarn(part, rotary),
            "llama3" => rotary with
            {
                Scaling = RotaryScaling.Llama3,
                Factor = part.Positive("factor"),
                LowFrequencyFactor = part.Positive("low_freq_factor"),
                HighFrequencyFactor = part.Positive("high_freq_factor"),
                OriginalPositions = Original(part),
            },
            "proportional" => rotary with { Scaling = RotaryScaling.Proportional, Width = head, Rotated = width, Factor = part.NumberOrNull("factor") ?? 1 },
            _ => throw part.Refusal("rope_type", JsonValue.Create(kind), "this program knows default, linear, dynamic, yarn, llama3 and proportional"),
        };
        part.RefuseOthers($"rotary settings of type {kind}");
        return rotary;
    }

    /// <summary>Of images and of texts the kind is the same for texts.</summary>
    static string Plain(string kind) => kind == "mrope" ? "default" : kind;

    HubRotary Yarn(HubKeys part, HubRotary rotary)
    {
        var factor = part.Positive("factor");
        var (mscale, all) = (part.NumberOrNull("mscale") ?? 0, part.NumberOrNull("mscale_all_dim") ?? 0);
        return rotary with
        {
            Scaling = RotaryScaling.Yarn,
            Factor = factor,
            OriginalPositions = Original(part),
            AttentionFactor = part.NumberOrNull("attention_factor")
                ?? (mscale != 0 && all != 0 ? Growth(factor, mscale) / Growth(factor, all) : Growth(factor, 1)),
            BetaFast = part.NumberOrNull("beta_fast") is { } fast and not 0 ? fast : 32,
            BetaSlow = part.NumberOrNull("beta_slow") is { } slow and not 0 ? slow : 1,
            Truncate = !part.Has("truncate") || part.Flag("truncate"),
            MScaleAllDimensions = all,
        };
    }

    int Original(HubKeys part) => part.CountOrNull("original_max_position_embeddings") ?? _positions;

    /// <summary>0.1·m·ln(factor) + 1, and 1 for factors up to 1.</summary>
    public static double Growth(double factor, double m) => factor <= 1 ? 1 : 0.1 * m * ReproducibleMath.Log(factor) + 1;
}
