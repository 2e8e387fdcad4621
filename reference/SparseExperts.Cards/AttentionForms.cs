namespace SparseExperts;

/// <summary>What imported decoders need of attention beyond one key head a query head.</summary>
static class AttentionForms
{
    /// <param name="With">What the shape has besides lengths and widths.</param>
    /// <param name="Edges">Shapes that are tried as they are.</param>
    public sealed record Form(string Name, Func<Draw, AttentionShape, AttentionShape> With, params AttentionShape[] Edges)
    {
        public bool Causal { get; init; } = true;
        public bool Bias { get; init; }
        public bool Pad { get; init; }
        public bool PadsQueries { get; init; }
    }

    static AttentionShape Shape(int sequences, int queries, int keys, int heads, int width) =>
        new(sequences, queries, keys, heads, width, 1 / Math.Sqrt(width), true);

    static readonly AttentionShape Short = Shape(2, 5, 5, 4, 3), Long = Shape(1, 70, 70, 2, 5);

    public static IEnumerable<Form> All =>
    [
        new("grouped", Grouped, Short with { KeyHeads = 1 }, Short with { KeyHeads = 2 }, Long with { Heads = 6, KeyHeads = 2 }),
        new("values", (draw, s) => Grouped(draw, s) with { ValueWidth = draw.Between(1, 20) },
            Short with { ValueWidth = 1 }, Short with { ValueWidth = 70, KeyHeads = 2 }, Long with { ValueWidth = 9 },
            Shape(1, 3, 4, 1, 70) with { ValueWidth = 2 }, Shape(1, 33, 40, 1, 133) with { ValueWidth = 130 }),
        new("window", (draw, s) => s with { Window = draw.Between(1, s.Keys) },
            Short with { Window = 1 }, Short with { Window = 5 }, Short with { Window = 1000 }, Long with { Window = 1 }, Long with { Window = 33 },
            Long with { Window = int.MaxValue }, Short with { Window = 2, Causal = false }),
        new("sinks", (draw, s) => Grouped(draw, s) with { Sinks = true, Window = draw.Coin() ? 0 : draw.Between(1, s.Keys) },
            Short with { Sinks = true }, Short with { Sinks = true, KeyHeads = 1, Window = 1 }, Long with { Sinks = true, Window = 40 },
            Short with { Sinks = true, Keys = 0, Causal = false }),
        new("sinks pad", (draw, s) => Grouped(draw, s) with { Sinks = true, BlindSeesAll = draw.Coin() },
            Short with { Sinks = true }, Short with { Sinks = true, BlindSeesAll = true }, Long with { Sinks = true, BlindSeesAll = true })
        {
            Pad = true, Bias = true,
        },
        new("blind", (draw, s) => Grouped(draw, s) with { BlindSeesAll = true, Window = draw.Coin() ? 0 : draw.Between(1, s.Keys) },
            Short with { BlindSeesAll = true }, Long with { BlindSeesAll = true }, Long with { BlindSeesAll = true, Window = 2 },
            Shape(2, 40, 70, 2, 3) with { BlindSeesAll = true, Before = -1 })
        {
            Pad = true,
        },
        new("blind queries", (draw, s) => Grouped(draw, s) with { BlindSeesAll = true },
            Short with { BlindSeesAll = true, KeyHeads = 2 }, Long with { BlindSeesAll = true })
        {
            Pad = true, PadsQueries = true, Bias = true,
        },
        new("placed", (draw, s) => s with { Before = draw.Between(-3, s.Keys), Window = draw.Coin() ? 0 : draw.Between(1, s.Keys) },
            Short with { Before = 0, Queries = 2 }, Short with { Before = -1 }, Short with { Before = 9 }, Long with { Before = 3, Queries = 40, Window = 20 },
            Long with { Before = -40 }, Long with { Before = 100, Window = 45 }),
    ];

    /// <summary>More heads of queries, of which some share their keys.</summary>
    static AttentionShape Grouped(Draw draw, AttentionShape shape)
    {
        int keyHeads = draw.Between(1, 2), group = draw.Between(1, 3);
        return shape with { Heads = keyHeads * group, KeyHeads = keyHeads };
    }
}
