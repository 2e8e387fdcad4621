namespace SparseExperts;

/// <summary>Element by element: sums, products, masks and rotations.</summary>
static class PointwiseCards
{
    public static IEnumerable<OpCard> All => [Add, Multiply, Divide, Scale, Clamp, Round, Dropout, Rotary];

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

    static OpCard Divide => new()
    {
        Name = "Divide",
        Family = "pointwise",
        Formula = "c (+)= a / b",
        Gradient = "da (+)= dc / b, db (+)= −dc · c / b",
        Source = "IEEE 754 division",
        SpecialValues = "IEEE: x/0 is ±∞, 0/0 is NaN.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Divide")
        {
            Inputs = [draw.Input("a", e.Rows, e.Columns, 1), draw.Input("b", e.Rows, e.Columns, 1)],
            Outputs = [new("c", e.Rows, e.Columns) { Batch = 1, Mode = OutputMode.Flagged }],
        },
        Forward = (b, c) => b.Divide(c["a"], c["b"], c["c"], c.Accumulate),
        Backward = (b, c) =>
        {
            Matrix quotient = c.Ones(c["a"].Rows, c["a"].Columns), slope = c.Ones(c["a"].Rows, c["a"].Columns);
            b.Divide(c["a"], c["b"], quotient, false);
            b.Divide(c["dc"], c["b"], slope, false);
            b.Divide(c["dc"], c["b"], c["da"], c.Accumulate);
            b.Scale(slope, -1, slope, false);
            b.Multiply(slope, quotient, c["db"], c.Accumulate);
        },
        Errors =
        [
            new("unequal sources", (b, _) => b.Divide(b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 3), false), "Divide: A is 2×3, B is 3×2; make the shapes equal"),
            new("destination", (b, _) => b.Divide(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 4), false), "Divide: A is 2×3, C is 2×4; make the shapes equal"),
        ],
    };

    static OpCard Clamp => new()
    {
        Name = "Clamp",
        Family = "pointwise",
        Formula = "y = min(max(x, low), high)",
        Gradient = "dx (+)= dy · [low ≤ x ≤ high]",
        Source = "torch.clamp",
        SpecialValues = "NaN stays NaN and lets its gradient through. Both bounds belong to the inside. Y may be X.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Clamp")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns, 1)],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1 }],
            Parameters = new Dictionary<string, object>
            {
                ["low"] = draw.One(double.NegativeInfinity, -1 / 3.0, 0),
                ["high"] = draw.One(double.PositiveInfinity, 1 / 7.0, 1.1),
            },
        },
        Forward = (b, c) => b.Clamp(c["x"], c.Number("low"), c.Number("high"), c["y"]),
        Backward = (b, c) => b.ClampBackward(c["x"], c.Number("low"), c.Number("high"), c["dy"], c["dx"], c.Accumulate),
        InPlace = ("x", "y"),
        Kinks =
        [
            new(new("Clamp")
            {
                Inputs = [new("x", 1, 2, [-1.0, 2.0]) { Differentiable = true, OldGradient = [5, 5] }],
                Outputs = [new("y", 1, 2) { Cotangent = [3, 3] }],
                Parameters = new Dictionary<string, object> { ["low"] = -1.0, ["high"] = 2.0 },
            }, "dx", [3, 3]),
        ],
        Errors =
        [
            new("destination", (b, _) => b.Clamp(b.Rent(2, 3), 0, 1, b.Rent(3, 2)), "Clamp: X is 2×3, Y is 3×2; make the shapes equal"),
            new("bounds", (b, _) => b.Clamp(b.Rent(2, 3), 1, 0, b.Rent(2, 3)), "Clamp: bounds 1 and 0; give the lower one first"),
            new("cotangent", (b, _) => b.ClampBackward(b.Rent(2, 3), 0, 1, b.Rent(2, 2), b.Rent(2, 3), false),
                "ClampBackward: X is 2×3, dY is 2×2; make the shapes equal"),
        ],
    };

    static OpCard Round => new()
    {
        Name = "Round",
        Family = "pointwise",
        Formula = "y = x rounded to nearest even in binary16, bfloat16 or binary32",
        Gradient = "none: a step; on a tape the gradient goes through unchanged",
        Source = "IEEE 754-2019, 4.3.1; bfloat16 as in Intel, BFLOAT16 hardware numerics definition, 2018",
        SpecialValues = "NaN and infinities stay; beyond the range ±∞; subnormals are kept. Y may be X.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Round")
        {
            Inputs = [draw.Constant("x", e.Rows, e.Columns, 1)],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1, Saved = true }],
            Parameters = new Dictionary<string, object> { ["format"] = draw.One(NumberFormat.BFloat16, NumberFormat.Float16, NumberFormat.Float32) },
        },
        MoreEdges = _ => Enum.GetValues<NumberFormat>().Select(format => new OpCase("Round")
        {
            Inputs = [new("x", 1, Ties.Length, Ties) { Batch = 1 }],
            Outputs = [new("y", 1, Ties.Length) { Batch = 1, Saved = true }],
            Parameters = new Dictionary<string, object> { ["format"] = format },
        }),
        Forward = (b, c) => b.Round(c.Get<NumberFormat>("format"), c["x"], c["y"]),
        InPlace = ("x", "y"),
        Errors = [new("destination", (b, _) => b.Round(NumberFormat.BFloat16, b.Rent(2, 3), b.Rent(3, 2)), "Round: X is 2×3, Y is 3×2; make the shapes equal")],
    };

    /// <summary>Halfway between neighbours of bfloat16 and binary16, even and odd, and beside; the ends of their ranges.</summary>
    static readonly float[] Centres =
    [
        1 + 1 / 256f, 1 + 3 / 256f, 1 + 1 / 2048f, 1 + 3 / 2048f,
        65504, 65519.996f, 65520, 3.3895314e38f, 3.3961775e38f,
        6e-8f, 2.98e-8f, 1e-40f,
    ];

    static double[] Ties =>
    [
        .. from centre in Centres
           from value in (float[])[MathF.BitDecrement(centre), centre, MathF.BitIncrement(centre)]
           from sign in (float[])[1, -1]
           select (double)(value * sign),
    ];

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
        Formula = "y_i (+)= x_i · [u_i ≥ rate] / (1 − rate), u = the word of its place in the Philox stream / 2³²",
        Gradient = "dx (+)= dy · mask / (1 − rate): the same op on dy",
        Source = "Srivastava et al. 2014, inverted as in section 10; Salmon et al. 2011 for the words",
        SpecialValues = "A dropped NaN or infinity becomes 0. Rate 0 copies. Y may be X.",
        Exactness = new Ulps(2),
        Case = (draw, e) => new("Dropout")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns)],
            Integers = draw.Coin() ? [new("rows", draw.Indices(e.Rows, 2 * e.Rows, -1))] : [],
            Outputs = [new("y", e.Rows, e.Columns) { Mode = OutputMode.Flagged }],
            Parameters = new Dictionary<string, object>
            {
                ["rate"] = draw.One(0.0, 0.1, 0.5, 0.9),
                ["words"] = new RandomWords(
                    new((ulong)draw.Between(0, 1 << 30), (ulong)draw.Between(0, 9)),
                    draw.Between(0, 99),
                    e.Columns + draw.Between(0, 40)),
            },
        },
        Forward = (b, c) => b.Dropout(c["x"], c.Number("rate"), c.Get<RandomWords>("words"), c.OptionalIndices("rows"), c["y"], c.Accumulate),
        Backward = (b, c) => b.Dropout(c["dy"], c.Number("rate"), c.Get<RandomWords>("words"), c.OptionalIndices("rows"), c["dx"], c.Accumulate),
        InPlace = ("x", "y"),
        Errors =
        [
            new("rate of one", (b, _) => b.Dropout(b.Rent(2, 3), 1, new(default, 0, 3), null, b.Rent(2, 3), false),
                "Dropout: rate 1 is outside [0, 1); give the fraction to drop"),
            new("negative rate", (b, _) => b.Dropout(b.Rent(2, 3), -0.5, new(default, 0, 3), null, b.Rent(2, 3), false),
                "Dropout: rate -0.5 is outside [0, 1); give the fraction to drop"),
            new("destination", (b, _) => b.Dropout(b.Rent(2, 3), 0.5, new(default, 0, 3), null, b.Rent(3, 2), false),
                "Dropout: X is 2×3, Y is 3×2; make the shapes equal"),
            new("overlapping rows", (b, _) => b.Dropout(b.Rent(2, 3), 0.5, new(default, 0, 2), null, b.Rent(2, 3), false),
                "Dropout: words at 0 with a row stride of 2 for 3 columns; rows must not share words"),
            new("one row short", (b, _) => b.Dropout(b.Rent(2, 3), 0.5, new(default, 0, 3), b.Upload([0]), b.Rent(2, 3), false),
                "Dropout: 1 indices for 2 rows; give one index a row"),
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
        Exactness = new Reduction("the two products of a pair"),
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
