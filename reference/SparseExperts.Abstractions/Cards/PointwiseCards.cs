namespace SparseExperts;

/// <summary>Element by element: sums, products, masks and rotations.</summary>
static class PointwiseCards
{
    public static IEnumerable<OpCard> All => [Add, Multiply, Scale, Dropout, Rotary];

    static OpCard Add => new()
    {
        Name = "Add",
        Family = "pointwise",
        Formula = "c = a + b",
        Gradient = "da (+)= dc, db (+)= dc",
        Source = "IEEE 754 addition",
        SpecialValues = "IEEE: ∞ − ∞ is NaN. C may be A or B.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Add")
        {
            Inputs = [draw.Input("a", e.Rows, e.Columns, 1), draw.Input("b", e.Rows, e.Columns, 1)],
            Outputs = [new("c", e.Rows, e.Columns) { Batch = 1 }],
        },
        Forward = (b, c) => b.Add(c["a"], c["b"], c["c"]),
        Backward = (b, c) =>
        {
            b.Scale(c["dc"], 1, c["da"], c.Accumulate);
            b.Scale(c["dc"], 1, c["db"], c.Accumulate);
        },
        InPlace = ("b", "c"),
        Errors =
        [
            new("unequal sources", (b, _) => b.Add(b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 3)), "Add: A is 2×3, B is 3×2; make the shapes equal"),
            new("destination", (b, _) => b.Add(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 4)), "Add: A is 2×3, C is 2×4; make the shapes equal"),
        ],
    };

    static OpCard Multiply => new()
    {
        Name = "Multiply",
        Family = "pointwise",
        Formula = "c (+)= a · b; accumulating: fma(a, b, c)",
        Gradient = "da (+)= dc · b, db (+)= dc · a",
        Source = "IEEE 754 multiplication and fused multiply-add",
        SpecialValues = "IEEE: 0·∞ is NaN.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Multiply")
        {
            Inputs = [draw.Input("a", e.Rows, e.Columns, 1), draw.Input("b", e.Rows, e.Columns, 1)],
            Outputs = [new("c", e.Rows, e.Columns) { Batch = 1, Mode = OutputMode.Flagged }],
        },
        Forward = (b, c) => b.Multiply(c["a"], c["b"], c["c"], c.Accumulate),
        Backward = (b, c) =>
        {
            b.Multiply(c["dc"], c["b"], c["da"], c.Accumulate);
            b.Multiply(c["dc"], c["a"], c["db"], c.Accumulate);
        },
        Errors =
        [
            new("unequal sources", (b, _) => b.Multiply(b.Rent(2, 3), b.Rent(2, 2), b.Rent(2, 3), false),
                "Multiply: A is 2×3, B is 2×2; make the shapes equal"),
            new("destination", (b, _) => b.Multiply(b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 3), false), "Multiply: A is 2×3, C is 1×3; make the shapes equal"),
        ],
    };

    static OpCard Scale => new()
    {
        Name = "Scale",
        Family = "pointwise",
        Formula = "c (+)= factor · a; accumulating: fma(factor, a, c)",
        Gradient = "da (+)= factor · dc",
        Source = "IEEE 754 multiplication and fused multiply-add",
        SpecialValues = "IEEE: 0·∞ is NaN. C may be A.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Scale")
        {
            Inputs = [draw.Input("a", e.Rows, e.Columns, 1)],
            Outputs = [new("c", e.Rows, e.Columns) { Batch = 1, Mode = OutputMode.Flagged }],
            Parameters = new Dictionary<string, object> { ["factor"] = draw.One(0.0, -1.0, 1.0 / 3, 1e-3, 12345.678) },
        },
        Forward = (b, c) => b.Scale(c["a"], c.Number("factor"), c["c"], c.Accumulate),
        Backward = (b, c) => b.Scale(c["dc"], c.Number("factor"), c["da"], c.Accumulate),
        InPlace = ("a", "c"),
        Errors = [new("destination", (b, _) => b.Scale(b.Rent(2, 3), 2, b.Rent(3, 2), false), "Scale: A is 2×3, C is 3×2; make the shapes equal")],
    };

    static OpCard Dropout => new()
    {
        Name = "Dropout",
        Family = "pointwise",
        Formula = "y_i (+)= x_i · [u_i ≥ rate] / (1 − rate), u_i = word i of the Philox stream / 2³²",
        Gradient = "dx (+)= dy · mask / (1 − rate): the same op on dy",
        Source = "Srivastava et al. 2014, inverted as in section 10; Salmon et al. 2011 for the words",
        SpecialValues = "A dropped NaN or infinity becomes 0. Rate 0 copies. Y may be X.",
        Exactness = new Ulps(1),
        Case = (draw, e) => new("Dropout")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns)],
            Outputs = [new("y", e.Rows, e.Columns) { Mode = OutputMode.Flagged }],
            Parameters = new Dictionary<string, object>
            {
                ["rate"] = draw.One(0.0, 0.1, 0.5, 0.9),
                ["stream"] = new RandomStream((ulong)draw.Between(0, 1 << 30), (ulong)draw.Between(0, 9)),
            },
        },
        Forward = (b, c) => b.Dropout(c["x"], c.Number("rate"), c.Get<RandomStream>("stream"), c["y"], c.Accumulate),
        Backward = (b, c) => b.Dropout(c["dy"], c.Number("rate"), c.Get<RandomStream>("stream"), c["dx"], c.Accumulate),
        InPlace = ("x", "y"),
        Errors =
        [
            new("rate of one", (b, _) => b.Dropout(b.Rent(2, 3), 1, default, b.Rent(2, 3), false),
                "Dropout: rate 1 is outside [0, 1); give the fraction to drop"),
            new("negative rate", (b, _) => b.Dropout(b.Rent(2, 3), -0.5, default, b.Rent(2, 3), false),
                "Dropout: rate -0.5 is outside [0, 1); give the fraction to drop"),
            new("destination", (b, _) => b.Dropout(b.Rent(2, 3), 0.5, default, b.Rent(3, 2), false), "Dropout: X is 2×3, Y is 3×2; make the shapes equal"),
        ],
    };

    static OpCard Rotary => new()
    {
        Name = "Rotary",
        Family = "pointwise",
        Formula = "(y_i, y_{i+d/2}) (+)= (x_i cos − x_{i+d/2} sin, x_{i+d/2} cos + x_i sin), row r at position r mod S",
        Gradient = "dx (+)= rotation of dy by the opposite angle",
        Source = "Su et al. 2021, eq. 34, in the half-split layout of GPT-NeoX",
        SpecialValues = "IEEE, pair by pair. Y may be X.",
        Exactness = new Ulps(2),
        Case = (draw, e) =>
        {
            int half = Math.Clamp(e.Depth, 1, 33), heads = draw.Between(1, 3), positions = Math.Clamp(e.Columns, 1, 40), sequences = Math.Min(e.Rows, 3);
            return new("Rotary")
            {
                Inputs =
                [
                    draw.Input("x", sequences * positions, heads * 2 * half, positions),
                    draw.Constant("cos", positions, half), draw.Constant("sin", positions, half),
                ],
                Outputs = [new("y", sequences * positions, heads * 2 * half) { Mode = OutputMode.Flagged, Batch = positions }],
                Parameters = new Dictionary<string, object> { ["headWidth"] = 2 * half, ["inverse"] = draw.Coin() },
            };
        },
        Forward = (b, c) => b.Rotary(c["x"], c["cos"], c["sin"], c.Count("headWidth"), c.Flag("inverse"), c["y"], c.Accumulate),
        Backward = (b, c) => b.Rotary(c["dy"], c["cos"], c["sin"], c.Count("headWidth"), !c.Flag("inverse"), c["dx"], c.Accumulate),
        InPlace = ("x", "y"),
        Errors =
        [
            new("odd head", (b, _) => b.Rotary(b.Rent(2, 6), b.Rent(2, 1), b.Rent(2, 1), 3, false, b.Rent(2, 6), false),
                "Rotary: head width 3 for 6 columns; give an even width that divides the columns"),
            new("tables of another width", (b, _) => b.Rotary(b.Rent(2, 8), b.Rent(2, 1), b.Rent(2, 1), 4, false, b.Rent(2, 8), false),
                "Rotary: tables are 2×1, expected positions×2; build them for head width 4"),
            new("unequal tables", (b, _) => b.Rotary(b.Rent(2, 8), b.Rent(2, 2), b.Rent(3, 2), 4, false, b.Rent(2, 8), false),
                "Rotary: cosines is 2×2, sines is 3×2; make the shapes equal"),
        ],
    };
}
