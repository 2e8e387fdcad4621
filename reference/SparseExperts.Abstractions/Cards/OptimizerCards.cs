namespace SparseExperts;

/// <summary>Parameter updates.</summary>
static class OptimizerCards
{
    public static IEnumerable<OpCard> All => [AdamW];

    static OpCard AdamW => new()
    {
        Name = "AdamW",
        Family = "optimizers",
        Formula = "g ← factor·g; m ← m + (1−β₁)(g − m); v ← β₂v + (1−β₂)g²; p ← p(1 − rate·decay) − (rate/c₁)·m / (√v/√c₂ + ε)",
        Gradient = "none: it ends the tape",
        Source = "Loshchilov & Hutter 2019, algorithm 2, in PyTorch's order",
        SpecialValues = "A NaN gradient makes its own parameter and moments NaN.",
        Exactness = new Reduction("an old value and its change"),
        Case = (draw, e) => new("AdamW")
        {
            Inputs = [draw.Constant("gradient", e.Rows, e.Columns, 1)],
            Outputs =
            [
                draw.Updated("parameter", e.Rows, e.Columns, draw.Reals(e.Rows * e.Columns)) with { Batch = 1 },
                draw.Updated("first", e.Rows, e.Columns, draw.Reals(e.Rows * e.Columns)) with { Batch = 1 },
                draw.Updated("second", e.Rows, e.Columns, draw.Positive(e.Rows * e.Columns)) with { Batch = 1 },
            ],
            Parameters = new Dictionary<string, object> { ["step"] = Step(draw.Between(1, 50), draw.One(0, 0.1), draw.One(1.0, 0.25)) },
        },
        Forward = (b, c) => b.AdamW(c["parameter"], c["gradient"], c["first"], c["second"], c.Get<AdamWStep>("step")),
        Errors =
        [
            new("gradient", (b, _) => b.AdamW(b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 3), b.Rent(2, 3), Step(1, 0, 1)),
                "AdamW: parameter is 2×3, gradient is 3×2; make the shapes equal"),
            new("second moment", (b, _) => b.AdamW(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 3), b.Rent(1, 3), Step(1, 0, 1)),
                "AdamW: parameter is 2×3, second moment is 1×3; make the shapes equal"),
        ],
    };

    static AdamWStep Step(int step, double decay, double factor) =>
        new(1e-3, 0.9, 0.999, 1e-8, decay, 1 - ReproducibleMath.Pow(0.9, step), 1 - ReproducibleMath.Pow(0.999, step), factor);
}
