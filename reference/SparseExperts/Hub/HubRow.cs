namespace SparseExperts.Hub;

/// <summary>How a stored tensor lies to the model's own matrix. A leading E is the expert: own matrices stand one below the other.</summary>
enum HubLayout
{
    /// <summary>[out, in] is [in, out]: PyTorch's linear layers.</summary>
    Transposed,

    /// <summary>[rows, columns] as it is.</summary>
    Plain,

    /// <summary>[n] is one row [1, n].</summary>
    Row,
}

/// <summary>
/// A line of a family's table: a stored tensor's name and shape, and where its numbers are in the model. {l} is a layer, {e} an expert.
/// </summary>
/// <param name="Hub">The name without the prefix that all of the model's have (<c>model.</c>).</param>
/// <param name="Shape">As stored, in letters of <see cref="HubSizes"/>: <c>E 2F M</c>.</param>
/// <param name="Own">Paths in the model. Several share what is stored: their outputs stand one after the other, or take turns.</param>
sealed record HubRow(string Hub, string Shape, HubLayout Layout, params string[] Own)
{
    /// <summary>Layers that have it; null where it is one of the model.</summary>
    public Func<HubConfig, IEnumerable<int>>? Layers { get; init; }

    /// <summary>Whether a model of this configuration has it.</summary>
    public Func<HubConfig, bool>? If { get; init; }

    /// <summary>Outputs of several own matrices take turns; else they stand in halves.</summary>
    public bool TakesTurns { get; init; }

    /// <summary>The head of a composite model stands beside its language model, not in it.</summary>
    public bool IsHead { get; init; }

    public bool IsPerExpert => Hub.Contains("{e}", StringComparison.Ordinal);
}

/// <summary>Sizes by the letters of the tables.</summary>
static class HubSizes
{
    /// <summary>
    /// V tokens, M width, D dense hidden width, E experts, F hidden width of an expert, H heads, h width of a query head, Q and K all query and key heads,
    /// W all value heads of keys, O all value heads of queries. Decoders: S shared hidden width, A and B ranks of latent queries and keys with values,
    /// R the latter with the rotated key, U what they give. T5: N buckets.
    /// </summary>
    public static int Of(HubConfig config, string symbol)
    {
        if (symbol.Length > 1 && char.IsDigit(symbol[0])) return (symbol[0] - '0') * Of(config, symbol[1..]);
        return symbol switch
        {
            "1" => 1,
            "V" => config.Vocabulary,
            "M" => config.Width,
            "D" => config.Hidden,
            "E" => config.Experts,
            "F" => config.ExpertHidden,
            "H" => config.Heads,
            _ => config switch
            {
                HubDecoder decoder => Of(decoder, symbol),
                HubSwitch t5 => Of(t5, symbol),
                _ => throw Unknown(symbol),
            },
        };
    }

    static int Of(HubDecoder config, string symbol) => symbol switch
    {
        "h" => config.HeadWidth,
        "Q" => config.Heads * config.HeadWidth,
        "K" => config.KeyValueHeads * config.HeadWidth,
        "W" => config.KeyValueHeads * config.ValueWidth,
        "O" => config.Heads * config.ValueWidth,
        "S" => config.SharedHidden,
        "A" => config.Latent!.QueryRank!.Value,
        "B" => config.Latent!.KeyValueRank,
        "R" => config.Latent!.KeyValueRank + config.Latent.RotaryWidth,
        "U" => config.Heads * (config.Latent!.PlainWidth + config.ValueWidth),
        _ => throw Unknown(symbol),
    };

    static int Of(HubSwitch config, string symbol) => symbol switch
    {
        "Q" => config.Heads * config.HeadWidth,
        "N" => config.Buckets,
        _ => throw Unknown(symbol),
    };

    static ArgumentException Unknown(string symbol) => new($"a table of tensors says '{symbol}', which is no size", nameof(symbol));
}
