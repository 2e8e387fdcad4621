namespace SparseExperts;

/// <summary>Parameter updates.</summary>
static class OptimizerCards
{
    public static IEnumerable<OpCard> All => [StepFactor, AdamW, Adafactor, AdafactorUnfactored];

    static OpCard StepFactor => new()
    {
        Name = "StepFactor",
        Family = "optimizers",
        Formula = "norm = √Σ squares, in 256 lanes; factor = min(1, clip/(norm + 1e-6)), 1 without clip; y = factor, norm, loss",
        Gradient = "none: it ends the tape",
        Source = "PyTorch clip_grad_norm_; steps that are left out: GLaM, Du et al. 2022, section 4.3",
        SpecialValues = "Factor is NaN where norm, loss or the factor before is not finite, and where an index is wrong; without squares the norm is 0.",
        Exactness = new Reduction("squares"),
        Case = (draw, e) => Step(draw, draw.Positive(e.Rows * e.Columns), draw.Finite.Reals(1), [1]),
        MoreEdges = draw =>
        [
            Step(draw, draw.Positive(700), [3], [1]), Step(draw, [], [3], [0.5]), Step(draw, draw.Positive(20), [double.NaN], [1]),
            Step(draw, draw.Positive(20), [3], [double.NaN]), Step(draw, [1, double.PositiveInfinity, 2], [3], [1]),
        ],
        Forward = (b, c) => b.StepFactor(c["squares"], c["loss"], c.Number("clip"), c["before"], c["y"]),
        Errors =
        [
            new("squares", (b, _) => b.StepFactor(b.Rent(2, 3), b.Rent(1, 1), 1, b.Rent(1, 1), b.Rent(1, 3)),
                "StepFactor: squares is 2×3, expected 2×1; reshape or rent it so"),
            new("loss", (b, _) => b.StepFactor(b.Rent(2, 1), b.Rent(2, 1), 1, b.Rent(1, 1), b.Rent(1, 3)),
                "StepFactor: loss is 2×1, expected 1×1; reshape or rent it so"),
            new("before", (b, _) => b.StepFactor(b.Rent(2, 1), b.Rent(1, 1), 1, b.Rent(1, 3), b.Rent(1, 3)),
                "StepFactor: before is 1×3, expected 1×1; reshape or rent it so"),
            new("destination", (b, _) => b.StepFactor(b.Rent(2, 1), b.Rent(1, 1), 1, b.Rent(1, 1), b.Rent(1, 1)),
                "StepFactor: Y is 1×1, expected 1×3; reshape or rent it so"),
        ],
    };

    static OpCase Step(Draw draw, double[] squares, double[] loss, double[] before) => new("StepFactor")
    {
        Inputs = [Given("squares", squares), Given("loss", loss), Given("before", before)],
        Outputs = [new("y", 1, 3)],
        Parameters = new Dictionary<string, object> { ["clip"] = draw.One(0, 1.0, 0.125, 1e9) },
    };

    /// <summary>The step's factor: one that counts, or one that leaves the step out.</summary>
    static OpInput Factor(Draw draw) => Given("factor", [draw.One(1, 0.25, 1, 0.25, 1, double.NaN)]);

    static OpInput Given(string name, double[] values) => new(name, values.Length, 1, values);

    static OpCard AdamW => new()
    {
        Name = "AdamW",
        Family = "optimizers",
        Formula = "g ← factor·g; m ← m + (1−β₁)(g − m); v ← β₂v + (1−β₂)g²; p ← p(1 − rate·decay) − (rate/c₁)·m / (√v/√c₂ + ε)",
        Gradient = "none: it ends the tape",
        Source = "Loshchilov & Hutter 2019, algorithm 2, in PyTorch's order",
        SpecialValues = "A NaN gradient makes its own parameter and moments NaN. A factor that is not finite leaves everything as it is.",
        Exactness = new Reduction("an old value and its change"),
        Case = (draw, e) => new("AdamW")
        {
            Inputs = [draw.Constant("gradient", e.Rows, e.Columns, 1), Factor(draw)],
            Outputs =
            [
                draw.Updated("parameter", e.Rows, e.Columns, draw.Reals(e.Rows * e.Columns)) with { Batch = 1 },
                draw.Updated("first", e.Rows, e.Columns, draw.Reals(e.Rows * e.Columns)) with { Batch = 1 },
                draw.Updated("second", e.Rows, e.Columns, draw.Positive(e.Rows * e.Columns)) with { Batch = 1 },
            ],
            Parameters = new Dictionary<string, object> { ["step"] = Step(draw.Between(1, 50), draw.One(0, 0.1)) },
        },
        Forward = (b, c) => b.AdamW(c["parameter"], c["gradient"], c["first"], c["second"], c["factor"], c.Get<AdamWStep>("step")),
        Errors =
        [
            new("gradient", (b, _) => b.AdamW(b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 1), Step(1, 0)),
                "AdamW: parameter is 2×3, gradient is 3×2; make the shapes equal"),
            new("second moment", (b, _) => b.AdamW(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 3), b.Rent(1, 1), Step(1, 0)),
                "AdamW: parameter is 2×3, second moment is 1×3; make the shapes equal"),
        ],
    };

    static OpCard Adafactor => new()
    {
        Name = "Adafactor",
        Family = "optimizers",
        Formula = "g ← factor·g; q = g² + ε; R ← β₂R + (1−β₂)·mean_j q; C ← β₂C + (1−β₂)·mean_i q; u = g·√(mean R / R)·1/√C; "
            + "size = rate·max(least, rms p) / max(1, rms u / clip); x = size·u, or x = M ← β₁M + (1−β₁)·size·u; p ← (1 − decay·rate·max(least, rms p))·p − x",
        Gradient = "none: it ends the tape",
        Source = "Shazeer & Stern 2018, algorithms 4 and 5; transformers optimization.py, Adafactor, in a product of roots",
        SpecialValues = "A NaN makes the whole parameter NaN, since all of it shares the root mean squares; a row or a column of zeros with ε = 0 is 0/0. "
            + "Without elements nothing happens, and with a factor that is not finite nothing.",
        Exactness = new Reduction("rows, columns and elements"),
        Case = (draw, e) =>
        {
            var matrices = draw.Between(1, 3);
            var rows = e.Rows / matrices * matrices;
            return Updated("Adafactor", draw, rows, e.Columns,
                draw.Updated("rows", rows, 1, draw.Positive(rows)), draw.Updated("columns", matrices, e.Columns, draw.Positive(matrices * e.Columns)));
        },
        MoreEdges = draw =>
        [
            // More rows than a block, and more matrices than lanes.
            Updated("Adafactor", draw, 300, 3, draw.Updated("rows", 300, 1, draw.Positive(300)), draw.Updated("columns", 1, 3, draw.Positive(3))),
            Updated("Adafactor", draw, 36, 5, draw.Updated("rows", 36, 1, draw.Positive(36)), draw.Updated("columns", 18, 5, draw.Positive(90))),
        ],
        Forward = (b, c) => b.Adafactor(c["parameter"], c["gradient"], c["rows"], c["columns"], c.Optional("momentum"), c["factor"],
            c.Get<AdafactorStep>("step")),
        Errors =
        [
            new("gradient", (b, _) => b.Adafactor(b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 1), b.Rent(1, 3), null, b.Rent(1, 1), Fixed),
                "Adafactor: parameter is 2×3, gradient is 3×2; make the shapes equal"),
            new("rows", (b, _) => b.Adafactor(b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 2), b.Rent(1, 3), null, b.Rent(1, 1), Fixed),
                "Adafactor: rows is 1×2, expected 2×1; reshape or rent it so"),
            new("matrices", (b, _) => b.Adafactor(b.Rent(3, 3), b.Rent(3, 3), b.Rent(3, 1), b.Rent(2, 3), null, b.Rent(1, 1), Fixed),
                "Adafactor: columns are 2×3 for 3 rows; give one row of them a matrix, and equal matrices"),
            new("columns", (b, _) => b.Adafactor(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 1), b.Rent(1, 4), null, b.Rent(1, 1), Fixed),
                "Adafactor: columns is 1×4, expected 1×3; reshape or rent it so"),
            new("momentum", (b, _) => b.Adafactor(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 1), b.Rent(1, 3), b.Rent(1, 3), b.Rent(1, 1), Fixed),
                "Adafactor: parameter is 2×3, momentum is 1×3; make the shapes equal"),
        ],
    };

    static OpCard AdafactorUnfactored => new()
    {
        Name = "AdafactorUnfactored",
        Family = "optimizers",
        Formula = "g ← factor·g; V ← β₂V + (1−β₂)(g² + ε); u = g/√V; the rest as in Adafactor",
        Gradient = "none: it ends the tape",
        Source = "Shazeer & Stern 2018, algorithm 4 without factors; transformers optimization.py, Adafactor",
        SpecialValues = "A NaN makes the whole parameter NaN, since all of it shares the root mean squares. Without elements nothing happens, and with a "
            + "factor that is not finite nothing.",
        Exactness = new Reduction("elements"),
        Case = (draw, e) => Updated("AdafactorUnfactored", draw, e.Rows, e.Columns,
            draw.Updated("second", e.Rows, e.Columns, draw.Positive(e.Rows * e.Columns))),
        Forward = (b, c) => b.AdafactorUnfactored(c["parameter"], c["gradient"], c["second"], c.Optional("momentum"), c["factor"],
            c.Get<AdafactorStep>("step")),
        Errors =
        [
            new("gradient", (b, _) => b.AdafactorUnfactored(b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 3), null, b.Rent(1, 1), Fixed),
                "AdafactorUnfactored: parameter is 2×3, gradient is 3×2; make the shapes equal"),
            new("second moment", (b, _) => b.AdafactorUnfactored(b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 3), null, b.Rent(1, 1), Fixed),
                "AdafactorUnfactored: parameter is 2×3, second moment is 1×3; make the shapes equal"),
            new("momentum", (b, _) => b.AdafactorUnfactored(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 3), b.Rent(1, 1), Fixed),
                "AdafactorUnfactored: parameter is 2×3, momentum is 1×3; make the shapes equal"),
        ],
    };

    /// <summary>A case of either: with momentum or without, the rate scaled or not, and updates that are clipped or not.</summary>
    static OpCase Updated(string op, Draw draw, int rows, int columns, params OpOutput[] moments)
    {
        OpOutput[] momentum = draw.Coin() ? [draw.Updated("momentum", rows, columns, draw.Reals(rows * columns))] : [];
        var finite = draw.Finite;
        return new(op)
        {
            Inputs = [draw.Constant("gradient", rows, columns), Factor(draw)],
            Outputs = [draw.Updated("parameter", rows, columns, finite.Reals(rows * columns)), .. moments, .. momentum],
            Parameters = new Dictionary<string, object>
            {
                ["step"] = new AdafactorStep(1e-2, 1 - ReproducibleMath.Pow(draw.Between(1, 50), -0.8), 1e-30,
                    draw.One<double?>(null, 1e-3, 4), draw.One(1, 0.125), 0.9, draw.One(0, 0.1)),
            },
        };
    }

    static AdafactorStep Fixed => new(1e-2, 0.5, 1e-30, 1e-3, 1, 0.9, 0);

    static AdamWStep Step(int step, double decay) =>
        new(1e-3, 0.9, 0.999, 1e-8, decay, 1 - ReproducibleMath.Pow(0.9, step), 1 - ReproducibleMath.Pow(0.999, step));
}
