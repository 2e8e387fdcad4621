namespace SparseExperts;

/// <summary>Normalisation along rows.</summary>
static class NormCards
{
    public static IEnumerable<OpCard> All => [RmsNorm, LayerNorm];

    static OpCard RmsNorm => new()
    {
        Name = "RmsNorm",
        Family = "rows",
        Formula = "y = x·r·w, r = 1/√(mean x² + ε)",
        Gradient = "dx = r(dy·w − x·r·mean(dy·w·x·r)), dw = Σ_tokens dy·x·r",
        Source = "Zhang & Sennrich 2019, eq. 4",
        SpecialValues = "A row of zeros gives zeros when ε > 0. NaN or ∞ makes its own row NaN or 0, never another one.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => Rms(draw, e, draw.One(1e-6, 1e-2)),
        MoreEdges = draw =>
        [
            Rms(draw.With(Temper.Wide), new(2, 5, 1), 0),
            Rms(draw, new(700, 3, 1), 1e-6) with { Sequence = 300 },
            Rms(draw, new(19, 3, 1), 1e-6) with { Sequence = 1 },
            Constant("RmsNorm", 0, 1e-6),
            Constant("RmsNorm", 1e30, 1e-6),
            Constant("RmsNorm", 1e-42, 0),
        ],
        Forward = (b, c) => b.RmsNorm(c["x"], c["w"], c.Number("epsilon"), c["y"], c["scale"]),
        Backward = (b, c) => b.RmsNormBackward(c["x"], c["w"], c["scale"], c["dy"], c.Sequence, c["dx"], c.Accumulate, c["dw"], c.Accumulate),
        Errors =
        [
            new("weight", (b, _) => b.RmsNorm(b.Rent(2, 3), b.Rent(3, 1), 1e-6, b.Rent(2, 3), b.Rent(2, 1)),
                "RmsNorm: weight is 3×1, expected 1×3; reshape or rent it so"),
            new("statistics", (b, _) => b.RmsNorm(b.Rent(2, 3), b.Rent(1, 3), 1e-6, b.Rent(2, 3), b.Rent(2, 2)),
                "RmsNorm: statistics is 2×2, expected 2×1; reshape or rent it so"),
            new("destination", (b, _) => b.RmsNorm(b.Rent(2, 3), b.Rent(1, 3), 1e-6, b.Rent(3, 3), b.Rent(2, 1)),
                "RmsNorm: X is 2×3, Y is 3×3; make the shapes equal"),
        ],
    };

    static OpCase Rms(Draw draw, Extent e, double epsilon) => new("RmsNorm")
    {
        Inputs = [draw.Input("x", e.Rows, e.Columns, 1), draw.Input("w", 1, e.Columns) with { GradientOverTokens = true }],
        Sequence = draw.Sequence(e.Rows),
        Outputs = [new("y", e.Rows, e.Columns) { Batch = 1 }, new("scale", e.Rows, 1) { Batch = 1, Saved = true }],
        Parameters = new Dictionary<string, object> { ["epsilon"] = epsilon },
    };

    static OpCard LayerNorm => new()
    {
        Name = "LayerNorm",
        Family = "rows",
        Formula = "y = (x − μ)·r·w + b, r = 1/√(σ² + ε), σ² = mean (x − μ)²",
        Gradient = "h = (x − μ)r: dx = r(dy·w − mean(dy·w) − h·mean(dy·w·h)), dw = Σ_tokens dy·h, db = Σ_tokens dy",
        Source = "Ba et al. 2016, eq. 3",
        SpecialValues = "A constant row gives b when ε > 0. NaN or ∞ makes its own row NaN.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => Layer(draw, e, draw.One(1e-5, 1e-2)),
        MoreEdges = draw =>
        [
            Layer(draw.With(Temper.Wide), new(2, 5, 1), 0),
            Layer(draw, new(700, 3, 1), 1e-5) with { Sequence = 300 },
            Layer(draw, new(19, 3, 1), 1e-5) with { Sequence = 1 },
            Constant("LayerNorm", 7, 1e-5),
            Constant("LayerNorm", 1e37, 1e-5),
            Constant("LayerNorm", 1e-42, 0),
        ],
        Forward = (b, c) => b.LayerNorm(c["x"], c["w"], c["b"], c.Number("epsilon"), c["y"], c["scale"]),
        Backward = (b, c) => b.LayerNormBackward(c["x"], c["w"], c["scale"], c["dy"], c.Sequence, c["dx"], c.Accumulate, c["dw"], c["db"], c.Accumulate),
        Errors =
        [
            new("bias", (b, _) => b.LayerNorm(b.Rent(2, 3), b.Rent(1, 3), b.Rent(3, 1), 1e-5, b.Rent(2, 3), b.Rent(2, 2)),
                "LayerNorm: weight is 3×1, expected 1×3; reshape or rent it so"),
            new("statistics", (b, _) => b.LayerNorm(b.Rent(2, 3), b.Rent(1, 3), b.Rent(1, 3), 1e-5, b.Rent(2, 3), b.Rent(2, 1)),
                "LayerNorm: statistics is 2×1, expected 2×2; reshape or rent it so"),
        ],
    };

    static OpCase Layer(Draw draw, Extent e, double epsilon) => new("LayerNorm")
    {
        Inputs =
        [
            draw.Input("x", e.Rows, e.Columns, 1), draw.Input("w", 1, e.Columns) with { GradientOverTokens = true },
            draw.Input("b", 1, e.Columns) with { GradientOverTokens = true },
        ],
        Sequence = draw.Sequence(e.Rows),
        Outputs = [new("y", e.Rows, e.Columns) { Batch = 1 }, new("scale", e.Rows, 2) { Batch = 1, Saved = true }],
        Parameters = new Dictionary<string, object> { ["epsilon"] = epsilon },
    };

    /// <summary>Rows whose elements are all alike, short of a full vector.</summary>
    static OpCase Constant(string op, double value, double epsilon)
    {
        var row = Enumerable.Repeat((double)(float)value, 5).ToArray();
        var one = Enumerable.Repeat(1.0, 5).ToArray();
        return new(op)
        {
            Inputs =
            [
                .. from name in op == "RmsNorm" ? (string[])["x", "w"] : ["x", "w", "b"]
                   select new OpInput(name, 1, 5, name == "x" ? row : one) { Differentiable = true },
            ],
            Outputs = [new("y", 1, 5), new("scale", 1, op == "RmsNorm" ? 1 : 2) { Saved = true }],
            Parameters = new Dictionary<string, object> { ["epsilon"] = epsilon },
        };
    }
}
