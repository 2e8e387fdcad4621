namespace SparseExperts;

/// <summary>Softmax and its relatives, the loss over it, and sums along rows and columns.</summary>
static class RowCards
{
    public static IEnumerable<OpCard> All => [Softmax, LogSoftmax, LogSumExp, CrossEntropy, SumColumns, ScaleRows, RowDots, SumSquares, RunSquares];

    static OpCard Softmax => new()
    {
        Name = "Softmax",
        Family = "rows",
        Formula = "y_j = e^{x_j − max} / Σ_k e^{x_k − max}",
        Gradient = "dx_j (+)= y_j (dy_j − Σ_k dy_k y_k)",
        Source = "Bridle 1990; shifted by the maximum, so that nothing overflows",
        SpecialValues = "A row with NaN or +∞, or of −∞ only, is NaN throughout; −∞ beside a number gives exactly 0.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => Rows("Softmax", draw, e),
        MoreEdges = draw =>
        [
            Row("Softmax", [3, 3, 3, 3]),
            Row("Softmax", [100, 101, 102]),
            Row("Softmax", [double.NegativeInfinity, 0, -3]),
            Row("Softmax", [-1000, 0, 1000]),
        ],
        Forward = (b, c) => b.Softmax(c["x"], c["y"]),
        Backward = (b, c) => b.SoftmaxBackward(c["y"], c["dy"], c["dx"], c.Accumulate),
        Errors =
        [
            new("destination", (b, _) => b.Softmax(b.Rent(2, 3), b.Rent(3, 2)), "Softmax: X is 2×3, Y is 3×2; make the shapes equal"),
            new("gradient", (b, _) => b.SoftmaxBackward(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 4), false),
                "SoftmaxBackward: Y is 2×3, dX is 2×4; make the shapes equal"),
        ],
    };

    static OpCard LogSoftmax => new()
    {
        Name = "LogSoftmax",
        Family = "rows",
        Formula = "y_j = x_j − max − ln Σ_k e^{x_k − max}",
        Gradient = "dx_j (+)= dy_j − e^{y_j} Σ_k dy_k",
        Source = "logarithm of Softmax",
        SpecialValues = "As Softmax; −∞ beside a number stays −∞.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => Rows("LogSoftmax", draw, e),
        MoreEdges = draw => [Row("LogSoftmax", [100, 101, 102]), Row("LogSoftmax", [double.NegativeInfinity, 0, -3]), Row("LogSoftmax", [-1000, 0, 1000])],
        Forward = (b, c) => b.LogSoftmax(c["x"], c["y"]),
        Backward = (b, c) => b.LogSoftmaxBackward(c["y"], c["dy"], c["dx"], c.Accumulate),
        Errors =
        [
            new("destination", (b, _) => b.LogSoftmax(b.Rent(2, 3), b.Rent(2, 2)), "LogSoftmax: X is 2×3, Y is 2×2; make the shapes equal"),
            new("cotangent", (b, _) => b.LogSoftmaxBackward(b.Rent(2, 3), b.Rent(1, 3), b.Rent(2, 3), false),
                "LogSoftmaxBackward: Y is 2×3, dY is 1×3; make the shapes equal"),
        ],
    };

    static OpCard LogSumExp => new()
    {
        Name = "LogSumExp",
        Family = "rows",
        Formula = "y = max + ln Σ_k e^{x_k − max}",
        Gradient = "dx_j (+)= dy · e^{x_j − y}",
        Source = "Blanchard, Higham & Higham 2021, algorithm 3.2 without the split",
        SpecialValues = "NaN or +∞ in the row, or −∞ only, gives NaN; an empty row gives −∞.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => Rows("LogSumExp", draw, e, width: 1),
        MoreEdges = draw => [Row("LogSumExp", [1000, 1000], 1), Row("LogSumExp", [double.NegativeInfinity, 0, -3], 1)],
        Forward = (b, c) => b.LogSumExp(c["x"], c["y"]),
        Backward = (b, c) => b.LogSumExpBackward(c["x"], c["y"], c["dy"], c["dx"], c.Accumulate),
        Errors =
        [
            new("destination", (b, _) => b.LogSumExp(b.Rent(2, 3), b.Rent(2, 3)), "LogSumExp: Y is 2×3, expected 2×1; reshape or rent it so"),
            new("gradient", (b, _) => b.LogSumExpBackward(b.Rent(2, 3), b.Rent(2, 1), b.Rent(2, 1), b.Rent(3, 2), false),
                "LogSumExpBackward: X is 2×3, dX is 3×2; make the shapes equal"),
        ],
    };

    static OpCard CrossEntropy => new()
    {
        Name = "CrossEntropy",
        Family = "rows",
        Formula = "loss_r = lse(x_r) − (1 − s)·x_{r,label} − s·mean_j x_rj",
        Gradient = "dx_j (+)= dloss_r (e^{x_j − lse} − s/n − (1 − s)[j = label])",
        Source = "Szegedy et al. 2016, section 7, for the smoothing s spread over all n classes",
        SpecialValues = "Label −100 gives loss 0 and no gradient, whatever the logits; other labels outside the columns are an error.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => new("CrossEntropy")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns, 1)],
            Integers = [new("labels", draw.Indices(e.Rows, e.Columns, -100)) { Batch = 1, Rule = new("CrossEntropy", e.Columns, -100) }],
            Outputs = [new("loss", e.Rows, 1) { Batch = 1 }, new("lse", e.Rows, 1) { Batch = 1, Saved = true }],
            Parameters = new Dictionary<string, object> { ["smoothing"] = draw.One(0.0, 0.1, 0.3) },
        },
        MoreEdges = draw => from smoothing in (double[])[0, 0.1]
                            select new OpCase("CrossEntropy")
                            {
                                Inputs = [draw.Input("x", 3, 5, 1)],
                                Integers = [new("labels", [4, -100, 0]) { Batch = 1, Rule = new("CrossEntropy", 5, -100) }],
                                Outputs = [new("loss", 3, 1) { Batch = 1 }, new("lse", 3, 1) { Batch = 1, Saved = true }],
                                Parameters = new Dictionary<string, object> { ["smoothing"] = smoothing },
                            },
        Forward = (b, c) => b.CrossEntropy(c["x"], c.Indices("labels"), c.Number("smoothing"), c["loss"], c["lse"]),
        Backward = (b, c) => b.CrossEntropyBackward(c["x"], c.Indices("labels"), c.Number("smoothing"), c["lse"], c["dloss"], c["dx"], c.Accumulate),
        Errors =
        [
            new("label outside", (b, _) => b.CrossEntropy(b.Zeros(2, 3), b.Upload([0, 3]), 0, b.Rent(2, 1), b.Rent(2, 1)),
                "CrossEntropy: index 3 at row 1 is outside 0…2; -100 means none"),
            new("one label short", (b, _) => b.CrossEntropy(b.Rent(2, 3), b.Upload([0]), 0, b.Rent(2, 1), b.Rent(2, 1)),
                "CrossEntropy: 1 indices for 2 rows; give one index a row"),
            new("smoothing", (b, _) => b.CrossEntropy(b.Rent(2, 3), b.Upload([0, 1]), 1.5, b.Rent(2, 1), b.Rent(2, 1)),
                "CrossEntropy: rate 1.5 is outside [0, 1); give the fraction to drop"),
            new("labels of another backend", (b, other) => b.CrossEntropy(b.Rent(2, 3), other.Upload([0, 1]), 0, b.Rent(2, 1), b.Rent(2, 1)),
                "CrossEntropy: the indices belong to '{backend}', the op ran on '{backend}'; upload them there"),
        ],
    };

    static OpCard SumColumns => new()
    {
        Name = "SumColumns",
        Family = "rows",
        Formula = "y_j (+)= Σ_r x_rj over tokens, blocks of sequences joined by halves",
        Gradient = "dx_rj (+)= dy_j",
        Source = "canonical column sum",
        SpecialValues = "IEEE: ∞ − ∞ is NaN; no rows sum to 0, or to what was there.",
        Exactness = new Reduction("rows"),
        Case = (draw, e) => new("SumColumns")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns, 1)],
            Outputs = [new("y", 1, e.Columns) { Mode = OutputMode.Flagged, OverTokens = true }],
            Sequence = draw.Sequence(e.Rows),
        },
        MoreEdges = draw => from sequence in (int[])[0, 1, 128, 300, 700]
                            select new OpCase("SumColumns")
                            {
                                Inputs = [draw.Input("x", 700, 3, 1)],
                                Outputs = [new("y", 1, 3) { Mode = OutputMode.Flagged, OverTokens = true }],
                                Sequence = sequence,
                            },
        Forward = (b, c) => b.SumColumns(c["x"], c["y"], c.Sequence, c.Accumulate),
        Backward = (b, c) => b.Gemm(c.Ones(c["x"].Rows, 1), false, c["dy"], false, c["dx"], c.Accumulate),
        Errors =
        [
            new("destination", (b, _) => b.SumColumns(b.Rent(2, 3), b.Rent(2, 1), 0, false), "SumColumns: Y is 2×1, expected 1×3; reshape or rent it so"),
            new("sequence", (b, _) => b.SumColumns(b.Rent(2, 3), b.Rent(1, 3), -1, false),
                "SumColumns: sequences of -1 rows; give their length, or 0 where rows are no tokens"),
        ],
    };

    static OpCard ScaleRows => new()
    {
        Name = "ScaleRows",
        Family = "rows",
        Formula = "y_rj (+)= x_rj · s_r; accumulating: fma(x, s, y)",
        Gradient = "dx_rj (+)= dy_rj · s_r, ds_r (+)= Σ_j dy_rj x_rj",
        Source = "gate of a mixture of experts (Shazeer et al. 2017, eq. 1)",
        SpecialValues = "IEEE: 0·∞ is NaN.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("ScaleRows")
        {
            Inputs = [draw.Input("x", e.Rows, e.Columns, 1), draw.Input("s", e.Rows, 1, 1)],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1, Mode = OutputMode.Flagged }],
        },
        Forward = (b, c) => b.ScaleRows(c["x"], c["s"], c["y"], c.Accumulate),
        Backward = (b, c) =>
        {
            b.ScaleRows(c["dy"], c["s"], c["dx"], c.Accumulate);
            b.RowDots(c["dy"], c["x"], c["ds"], c.Accumulate);
        },
        Errors =
        [
            new("factors", (b, _) => b.ScaleRows(b.Rent(2, 3), b.Rent(1, 2), b.Rent(2, 3), false), "ScaleRows: S is 1×2, expected 2×1; reshape or rent it so"),
            new("destination", (b, _) => b.ScaleRows(b.Rent(2, 3), b.Rent(2, 1), b.Rent(3, 2), false), "ScaleRows: X is 2×3, Y is 3×2; make the shapes equal"),
        ],
    };

    static OpCard SumSquares => new()
    {
        Name = "SumSquares",
        Family = "rows",
        Formula = "y = factor·Σ_r x_r² over tokens, blocks of sequences joined by halves",
        Gradient = "dx_r (+)= (2·factor·dy)·x_r",
        Source = "the router's z-loss (Zoph et al. 2022, eq. 5)",
        SpecialValues = "IEEE; no rows sum to 0.",
        Exactness = new Reduction("rows"),
        Case = (draw, e) => Squares(draw, e.Rows * e.Columns, draw.Sequence(e.Rows * e.Columns)),
        MoreEdges = draw => from sequence in (int[])[0, 1, 128, 300, 700] select Squares(draw, 700, sequence),
        Forward = (b, c) => b.SumSquares(c["x"], c.Number("factor"), c.Count("sequence"), c["y"]),
        Backward = (b, c) => b.SumSquaresBackward(c["x"], c.Number("factor"), c["dy"], c["dx"], c.Accumulate),
        Errors =
        [
            new("a column", (b, _) => b.SumSquares(b.Rent(2, 3), 1, 0, b.Rent(1, 1)), "SumSquares: X is 2×3, expected 2×1; reshape or rent it so"),
            new("destination", (b, _) => b.SumSquares(b.Rent(2, 1), 1, 0, b.Rent(2, 1)), "SumSquares: Y is 2×1, expected 1×1; reshape or rent it so"),
            new("sequence", (b, _) => b.SumSquares(b.Rent(2, 1), 1, -1, b.Rent(1, 1)),
                "SumSquares: sequences of -1 rows; give their length, or 0 where rows are no tokens"),
            new("gradient", (b, _) => b.SumSquaresBackward(b.Rent(2, 1), 1, b.Rent(1, 1), b.Rent(3, 1), false),
                "SumSquaresBackward: dX is 3×1, expected 2×1; reshape or rent it so"),
        ],
    };

    /// <summary>The sequence is a parameter: a sum that is scaled is no part of a larger one.</summary>
    static OpCase Squares(Draw draw, int rows, int sequence) => new("SumSquares")
    {
        Inputs = [draw.Input("x", rows, 1)],
        Outputs = [new("y", 1, 1)],
        Parameters = new Dictionary<string, object> { ["factor"] = draw.One(1.0, -0.375, 1.0 / 3), ["sequence"] = sequence },
    };

    static OpCard RunSquares => new()
    {
        Name = "RunSquares",
        Family = "rows",
        Formula = "y_r = Σ_k x_k², o_r ≤ k < o_{r+1}, in 16 lanes of each run",
        Gradient = "none: it measures gradients",
        Source = "rows of many lengths in one storage",
        SpecialValues = "A NaN makes its own run NaN; an empty run is 0; elements before the first run and behind the last are not read.",
        Exactness = new Reduction("elements of a run"),
        Case = (draw, e) => Runs(draw, e.Rows * e.Columns, e.Rows == 0 ? [0] : draw.Offsets(e.Rows, e.Rows * e.Columns)),
        MoreEdges = draw => [Runs(draw, 40, [3, 3, 20, 37]), Runs(draw, 7, [0])],
        Forward = (b, c) => b.RunSquares(c["x"], c.Indices("offsets"), c["y"]),
        Errors =
        [
            new("one row", (b, _) => b.RunSquares(b.Rent(2, 3), b.Upload([0, 3]), b.Rent(1, 1)), "RunSquares: X is 2×3, expected 1×3; reshape or rent it so"),
            new("destination", (b, _) => b.RunSquares(b.Rent(1, 3), b.Upload([0, 3]), b.Rent(1, 2)),
                "RunSquares: Y is 1×2, expected 1×1; reshape or rent it so"),
            new("offsets", (b, _) => b.RunSquares(b.Rent(1, 3), b.Upload([0, 3]), b.Rent(2, 1)), "RunSquares: 2 indices for 3 rows; give one index a row"),
            new("range", (b, _) => b.RunSquares(b.Zeros(1, 3), b.Upload([0, 4]), b.Rent(1, 1)),
                "RunSquares: offset 4 at place 1 is below the one before or beyond 3; offsets ascend within 0…3"),
        ],
    };

    static OpCase Runs(Draw draw, int elements, int[] offsets) => new("RunSquares")
    {
        Inputs = [draw.Constant("x", 1, elements)],
        Integers = [new("offsets", offsets) { Rule = new("RunSquares", elements, null) }],
        Outputs = [new("y", offsets.Length - 1, 1)],
    };

    static OpCard RowDots => new()
    {
        Name = "RowDots",
        Family = "rows",
        Formula = "y_r (+)= Σ_j a_rj b_rj, in 16 lanes",
        Gradient = "da_rj (+)= dy_r b_rj, db_rj (+)= dy_r a_rj",
        Source = "canonical row sum of products",
        SpecialValues = "IEEE: 0·∞ is NaN; an empty row gives 0.",
        Exactness = new Reduction("columns"),
        Case = (draw, e) => new("RowDots")
        {
            Inputs = [draw.Input("a", e.Rows, e.Columns, 1), draw.Input("b", e.Rows, e.Columns, 1)],
            Outputs = [new("y", e.Rows, 1) { Batch = 1, Mode = OutputMode.Flagged }],
        },
        Forward = (b, c) => b.RowDots(c["a"], c["b"], c["y"], c.Accumulate),
        Backward = (b, c) =>
        {
            b.ScaleRows(c["b"], c["dy"], c["da"], c.Accumulate);
            b.ScaleRows(c["a"], c["dy"], c["db"], c.Accumulate);
        },
        Errors =
        [
            new("unequal sources", (b, _) => b.RowDots(b.Rent(2, 3), b.Rent(2, 4), b.Rent(2, 1), false), "RowDots: A is 2×3, B is 2×4; make the shapes equal"),
            new("destination", (b, _) => b.RowDots(b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 3), false), "RowDots: Y is 2×3, expected 2×1; reshape or rent it so"),
        ],
    };

    static OpCase Rows(string op, Draw draw, Extent e, int width = 0) => new(op)
    {
        Inputs = [draw.Input("x", e.Rows, e.Columns, 1)],
        Outputs = [new("y", e.Rows, width > 0 ? width : e.Columns) { Batch = 1 }],
    };

    static OpCase Row(string op, double[] values, int width = 0) => new(op)
    {
        Inputs = [new("x", 1, values.Length, values) { Differentiable = true, Batch = 1 }],
        Outputs = [new("y", 1, width > 0 ? width : values.Length) { Batch = 1 }],
    };
}
