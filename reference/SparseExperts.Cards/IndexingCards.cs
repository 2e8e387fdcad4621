namespace SparseExperts;

/// <summary>Rows and elements chosen by integers; −1 means nothing.</summary>
static class IndexingCards
{
    public static IEnumerable<OpCard> All => [GatherRows, ScatterAddRows, ScatterAddTokens, GatherColumns, ScatterAddColumns];

    static OpCard GatherRows => new()
    {
        Name = "GatherRows",
        Family = "indexing",
        Formula = "y_r (+)= x_{index r}, 0 where the index is −1",
        Gradient = "dx_{index r} += dy_r, in ascending r: ScatterAddRows",
        Source = "dispatch of a mixture of experts; embedding lookup",
        SpecialValues = "Values are copied bit for bit.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("GatherRows")
        {
            Inputs = [draw.Input("x", e.Depth, e.Columns) with { GradientAdds = true }],
            Integers = [new("index", draw.Indices(e.Rows, e.Depth, -1)) { Batch = 1, Rule = new("GatherRows", e.Depth, -1) }],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1, Mode = OutputMode.Flagged }],
        },
        MoreEdges = draw => from type in (ElementType[])[ElementType.BFloat16, ElementType.Float16]
                            from rows in (int[])[0, 5]
                            select new OpCase("GatherRows")
                            {
                                Inputs = [Formats.In(type, draw.Constant("x", rows, 17))],
                                Integers = [new("index", draw.Indices(9, rows, -1)) { Batch = 1, Rule = new("GatherRows", rows, -1) }],
                                Outputs = [new("y", 9, 17) { Batch = 1, Type = type, Saved = true }],
                            },
        Forward = (b, c) => b.GatherRows(c["x"], c.Indices("index"), c["y"], c.Accumulate && c["y"].Type == ElementType.Real),
        Backward = (b, c) =>
        {
            if (c.Optional("dx") is { } dx) b.ScatterAddRows(c["dy"], c.Indices("index"), dx);
        },
        Errors =
        [
            new("index outside", (b, _) => b.GatherRows(b.Zeros(2, 3), b.Upload([0, 2]), b.Zeros(2, 3), false),
                "GatherRows: index 2 at row 1 is outside 0…1; -1 means none"),
            new("one index short", (b, _) => b.GatherRows(b.Rent(2, 3), b.Upload([0]), b.Rent(2, 3), false),
                "GatherRows: 1 indices for 2 rows; give one index a row"),
            new("formats", (b, _) => b.GatherRows(b.Rent(2, 3, ElementType.BFloat16), b.Upload([0, 1]), b.Rent(2, 3), false),
                "GatherRows: x holds BFloat16, y holds Real; Cast moves numbers from a format to another"),
            new("narrow sums", (b, _) => b.GatherRows(b.Rent(2, 3, ElementType.Float16), b.Upload([0, 1]), b.Rent(2, 3, ElementType.Float16), true),
                "GatherRows: y holds Float16, the op takes Real; Cast it to a matrix of Real first"),
            new("columns", (b, _) => b.GatherRows(b.Rent(2, 3), b.Upload([0, 1]), b.Rent(2, 4), false),
                "GatherRows: X is 2×3, Y is 2×4; give both the same columns"),
            new("reals as indices", (b, _) => b.GatherRows(b.Rent(2, 3), new(b.Rent(ElementType.Real, 2), 0, 2), b.Rent(2, 3), false),
                "GatherRows: the indices view reals; rent them with ElementType.Integer"),
        ],
    };

    static OpCard ScatterAddRows => new()
    {
        Name = "ScatterAddRows",
        Family = "indexing",
        Formula = "y_{index r} += x_r in ascending r",
        Gradient = "dx_r (+)= dy_{index r}: GatherRows",
        Source = "rows that share a slot; gradient of a gather whose rows have one owner",
        SpecialValues = "Two rows may meet the same destination: the earlier one is added first. −1 is skipped.",
        Exactness = new Reduction("rows of one destination"),
        Case = (draw, e) => new("ScatterAddRows")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns)],
            Integers = [new("index", draw.Indices(e.Rows, e.Depth, -1)) { Rule = new("ScatterAddRows", e.Depth, -1) }],
            Outputs = [draw.Updated("y", e.Depth, e.Columns, draw.Reals(e.Depth * e.Columns)) with { Saved = false }],
        },
        Forward = (b, c) => b.ScatterAddRows(c["x"], c.Indices("index"), c["y"]),
        Backward = (b, c) => b.GatherRows(c["dy"], c.Indices("index"), c["dx"], c.Accumulate),
        Errors =
        [
            new("index outside", (b, _) => b.ScatterAddRows(b.Zeros(2, 3), b.Upload([0, -2]), b.Zeros(2, 3)),
                "ScatterAddRows: index -2 at row 1 is outside 0…1; -1 means none"),
            new("columns", (b, _) => b.ScatterAddRows(b.Rent(2, 3), b.Upload([0, 1]), b.Rent(2, 4)),
                "ScatterAddRows: X is 2×3, Y is 2×4; give both the same columns"),
        ],
    };

    static OpCard ScatterAddTokens => new()
    {
        Name = "ScatterAddTokens",
        Family = "indexing",
        Formula = "y_i += Σ x_r over the rows r with index i, blocks of sequences joined by halves",
        Gradient = "dx_r (+)= dy_{index r}: GatherRows",
        Source = "gradient of an embedding",
        SpecialValues = "−1 is skipped; a row of Y that no index names keeps its bits.",
        Exactness = new Reduction("rows of one destination"),
        Case = (draw, e) => Tokens(draw, e.Rows, e.Columns, e.Depth, draw.Sequence(e.Rows)),
        MoreEdges = draw => from sequence in (int[])[0, 1, 128, 300, 700] select Tokens(draw, 700, 3, 9, sequence),
        Forward = (b, c) => b.ScatterAddTokens(c["x"], c.Indices("index"), c["y"], c.Sequence),
        Backward = (b, c) => b.GatherRows(c["dy"], c.Indices("index"), c["dx"], c.Accumulate),
        Errors =
        [
            new("index outside", (b, _) => b.ScatterAddTokens(b.Zeros(2, 3), b.Upload([0, 2]), b.Zeros(2, 3), 0),
                "ScatterAddTokens: index 2 at row 1 is outside 0…1; -1 means none"),
            new("columns", (b, _) => b.ScatterAddTokens(b.Rent(2, 3), b.Upload([0, 1]), b.Rent(2, 4), 0),
                "ScatterAddTokens: X is 2×3, Y is 2×4; give both the same columns"),
            new("sequence", (b, _) => b.ScatterAddTokens(b.Rent(2, 3), b.Upload([0, 1]), b.Rent(2, 3), -1),
                "ScatterAddTokens: sequences of -1 rows; give their length, or 0 where rows are no tokens"),
        ],
    };

    static OpCase Tokens(Draw draw, int rows, int columns, int destinations, int sequence) => new("ScatterAddTokens")
    {
        Inputs = [draw.Input("x", rows, columns, 1)],
        Integers = [new("index", draw.Indices(rows, destinations, -1)) { Batch = 1, Rule = new("ScatterAddTokens", destinations, -1) }],
        Outputs = [draw.Updated("y", destinations, columns, draw.Reals(destinations * columns)) with { Saved = false, OverTokens = true }],
        Sequence = sequence,
    };

    static OpCard GatherColumns => new()
    {
        Name = "GatherColumns",
        Family = "indexing",
        Formula = "y_r = x_{r, index r}, 0 where the index is −1",
        Gradient = "dx_{r, index r} += dy_r: ScatterAddColumns",
        Source = "the chosen expert's probability",
        SpecialValues = "Values are copied bit for bit.",
        Exactness = new Bitwise(),
        Case = (draw, e) => ChosenOf(draw, e.Rows, e.Columns),
        MoreEdges = draw => [ChosenOf(draw, ManyRows, 3)],
        Forward = (b, c) => b.GatherColumns(c["x"], c.Indices("index"), c["y"]),
        Backward = (b, c) => b.ScatterAddColumns(c["dy"], c.Indices("index"), c["dx"]),
        Errors =
        [
            new("index outside", (b, _) => b.GatherColumns(b.Zeros(2, 3), b.Upload([3, 0]), b.Zeros(2, 1)),
                "GatherColumns: index 3 at row 0 is outside 0…2; -1 means none"),
            new("destination", (b, _) => b.GatherColumns(b.Rent(2, 3), b.Upload([0, 0]), b.Rent(1, 2)),
                "GatherColumns: Y is 1×2, expected 2×1; reshape or rent it so"),
        ],
    };

    /// <summary>More rows than a block of a GPU's threads has.</summary>
    const int ManyRows = 700;

    static OpCase ChosenOf(Draw draw, int rows, int columns) => new("GatherColumns")
    {
        Inputs = [draw.Input("x", rows, columns, 1) with { GradientAdds = true }],
        Integers = [new("index", draw.Indices(rows, columns, -1)) { Batch = 1, Rule = new("GatherColumns", columns, -1) }],
        Outputs = [new("y", rows, 1) { Batch = 1 }],
    };

    static OpCard ScatterAddColumns => new()
    {
        Name = "ScatterAddColumns",
        Family = "indexing",
        Formula = "y_{r, index r} += x_r",
        Gradient = "dx_r = dy_{r, index r}: GatherColumns",
        Source = "gradient of GatherColumns",
        SpecialValues = "−1 is skipped.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("ScatterAddColumns")
        {
            Inputs = [draw.Input("x", e.Rows, 1, 1)],
            Integers = [new("index", draw.Indices(e.Rows, e.Columns, -1)) { Batch = 1, Rule = new("ScatterAddColumns", e.Columns, -1) }],
            Outputs = [draw.Updated("y", e.Rows, e.Columns, draw.Reals(e.Rows * e.Columns)) with { Saved = false, Batch = 1 }],
        },
        Forward = (b, c) => b.ScatterAddColumns(c["x"], c.Indices("index"), c["y"]),
        Errors =
        [
            new("source", (b, _) => b.ScatterAddColumns(b.Rent(2, 3), b.Upload([0, 0]), b.Rent(2, 3)),
                "ScatterAddColumns: X is 2×3, expected 2×1; reshape or rent it so"),
            new("index outside", (b, _) => b.ScatterAddColumns(b.Zeros(2, 1), b.Upload([0, 3]), b.Zeros(2, 3)),
                "ScatterAddColumns: index 3 at row 1 is outside 0…2; -1 means none"),
        ],
    };
}
