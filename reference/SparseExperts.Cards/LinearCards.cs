namespace SparseExperts;

/// <summary>A product of tokens and a weight, whose gradients are one op.</summary>
static class LinearCards
{
    public static OpCard Linear(bool transpose) => new()
    {
        Name = $"Linear X·W{(transpose ? "ᵀ" : "")}",
        Family = "linear algebra",
        Formula = "y_tj = Σ_k x_tk · op(W)_kj",
        Gradient = transpose ? "dX (+)= dY·W, dW (+)= Σ_t dy_tᵀ·x_t over tokens" : "dX (+)= dY·Wᵀ, dW (+)= Σ_t x_tᵀ·dy_t over tokens",
        Source = "a projection; the sums over tokens are blocks of sequences joined by halves",
        SpecialValues = "IEEE: 0·∞ and ∞ − ∞ are NaN. No tokens give dW 0, or dW + 0 when accumulating.",
        Exactness = new Reduction("k"),
        Case = (draw, e) => Projection(draw, e, transpose, draw.Sequence(e.Rows)),
        MoreEdges = draw => from sequence in (int[])[0, 1, 128, 300]
                            select Projection(draw, new(300, 33, 13), transpose, sequence) with { Accumulate = true },
        Forward = (b, c) => b.Gemm(c["x"], false, c["w"], transpose, c["y"], false),
        Backward = (b, c) => b.LinearBackward(c["x"], c["w"], transpose, c["dy"], c.Sequence, c["dx"], c.Accumulate, c["dw"], c.Accumulate),
        Errors =
        [
            new("inner dimensions", (b, _) => Backward(b, transpose, (4, 3), (2, 5), 0),
                $"LinearBackward: inner dimensions differ: A is 4×3, B{(transpose ? "ᵀ" : "")} is 2×5 (A·B needs A.Columns = B.Rows)"),
            new("gradient", (b, _) => Backward(b, transpose, (3, 4), (3, 5), 0), "LinearBackward: X is 4×3, dX is 3×4; make the shapes equal"),
            new("sequence", (b, _) => Backward(b, transpose, (4, 3), (3, 5), -2),
                "LinearBackward: sequences of -2 rows; give their length, or 0 where rows are no tokens"),
        ],
    };

    public static OpCard GemmAdd => new()
    {
        Name = "GemmAdd",
        Family = "linear algebra",
        Formula = "c_ij = Σ_k a_ik · b_kj, the first chain from s_ij",
        Gradient = "dS (+)= dC, dA (+)= dC·Bᵀ, dB (+)= Aᵀ·dC",
        Source = "a projection that ends in a residual stream",
        SpecialValues = "IEEE: 0·∞ and ∞ − ∞ are NaN. K = 0 gives S.",
        Exactness = new Reduction("k"),
        Case = Sum,
        MoreEdges = draw => from depth in (int[])[0, 1, SumTree.ProductBlock + 1, 1100] select Sum(draw, new(5, 35, depth)),
        Forward = (b, c) => b.GemmAdd(c["s"], c["a"], c["b"], c["c"]),
        Backward = (b, c) =>
        {
            if (c.Accumulate) b.Add(c["ds"], c["dc"], c["ds"]);
            else b.Copy(c["dc"], c["ds"]);
            b.Gemm(c["dc"], false, c["b"], true, c["da"], c.Accumulate);
            b.Gemm(c["a"], true, c["dc"], false, c["db"], c.Accumulate);
        },
        Errors =
        [
            new("inner dimensions", (b, _) => b.GemmAdd(b.Rent(2, 5), b.Rent(2, 3), b.Rent(4, 5), b.Rent(2, 5)),
                "GemmAdd: inner dimensions differ: A is 2×3, B is 4×5 (A·B needs A.Columns = B.Rows)"),
            new("start", (b, _) => b.GemmAdd(b.Rent(5, 2), b.Rent(2, 3), b.Rent(3, 5), b.Rent(2, 5)), "GemmAdd: C is 2×5, S is 5×2; make the shapes equal"),
        ],
    };

    static OpCase Sum(Draw draw, Extent e) => new("GemmAdd")
    {
        Inputs =
        [
            draw.Input("s", e.Rows, e.Columns, 1), draw.Input("a", e.Rows, e.Depth, 1), draw.Input("b", e.Depth, e.Columns),
        ],
        Outputs = [new("c", e.Rows, e.Columns) { Batch = 1 }],
    };

    public static OpCard FeedForward => new()
    {
        Name = "GemmGroupedActivate",
        Family = "linear algebra",
        Formula = "c_g = a_g·i_g, y = f(c), z_g = y_g·o_g in groups of rows",
        Gradient = "do_g (+)= y_gᵀ·dz_g, dc_g = (dz_g·o_gᵀ) ∘ f'(c_g), di_g (+)= a_gᵀ·dc_g, da_g (+)= dc_g·i_gᵀ",
        Source = "experts of two matrices (Shazeer et al. 2017, section 2)",
        SpecialValues = "IEEE; rows of no group are f(0), and their outputs 0.",
        Exactness = new Reduction("k"),
        Case = (draw, e) => Experts(draw, e, draw.Offsets(draw.Between(1, 3), e.Rows), draw.One(Activation.GeluTanh, Activation.Sigmoid, Activation.Silu)),
        MoreEdges = draw =>
        [
            Experts(draw, new(7, 9, 5), [2, 2, 6], Activation.Sigmoid), Experts(draw, new(40, 70, 3), [0, 33, 40], Activation.Tanh),
            Experts(draw, new(4, 9, 300), [0, 4], Activation.GeluErf),
        ],
        Forward = (b, c) =>
        {
            b.GemmGroupedActivate(c["a"], c["i"], c.Indices("offsets"), c.Get<Activation>("kind"), c["c"], c["y"]);
            b.GemmGrouped(c["y"], c["o"], false, c["z"], c.Indices("offsets"), false);
        },
        Backward = (b, c) =>
        {
            var slopes = c.Ones(c["c"].Rows, c["c"].Columns);
            b.GemmGroupedActivateBackward(
                c.Get<Activation>("kind"), c["c"], c["y"], c["o"], c["dz"], c.Indices("offsets"), slopes, c["do"], c.Accumulate);
            b.GemmGroupedBackward(c["a"], c["i"], slopes, c.Indices("offsets"), c["da"], c.Accumulate, c["di"], c.Accumulate);
        },
        Errors =
        [
            new("destination",
                (b, _) => b.GemmGroupedActivate(b.Rent(4, 3), b.Rent(6, 5), b.Upload([0, 1, 4]), Activation.Relu, b.Rent(4, 5), b.Rent(4, 4)),
                "GemmGroupedActivate: C is 4×5, Y is 4×4; make the shapes equal"),
            new("what the function was given", (b, _) => b.GemmGroupedActivateBackward(Activation.Relu, b.Rent(4, 2), b.Rent(4, 3), b.Rent(6, 5), b.Rent(4, 5),
                b.Upload([0, 1, 4]), b.Rent(4, 3), b.Rent(6, 5), false), "GemmGroupedActivateBackward: X is 4×2, A is 4×3; make the shapes equal"),
        ],
    };

    static OpCase Experts(Draw draw, Extent e, int[] offsets, Activation kind) => new("GemmGroupedActivate")
    {
        Inputs =
        [
            draw.Input("a", e.Rows, e.Depth), draw.Input("i", (offsets.Length - 1) * e.Depth, e.Columns),
            draw.Input("o", (offsets.Length - 1) * e.Columns, 4),
        ],
        Outputs = [new("c", e.Rows, e.Columns) { Saved = true }, new("y", e.Rows, e.Columns) { Saved = true }, new("z", e.Rows, 4)],
        Integers = [new("offsets", offsets)],
        Parameters = new Dictionary<string, object> { ["kind"] = kind },
    };

    /// <summary>Of four tokens of three numbers and outputs of five.</summary>
    static void Backward(IBackend backend, bool transpose, (int Rows, int Columns) gradient, (int Inner, int Outer) weight, int sequence)
    {
        var w = transpose ? backend.Rent(weight.Outer, weight.Inner) : backend.Rent(weight.Inner, weight.Outer);
        var dx = backend.Rent(gradient.Rows, gradient.Columns);
        backend.LinearBackward(backend.Rent(4, 3), w, transpose, backend.Rent(4, 5), sequence, dx, false, w, false);
    }

    static OpCase Projection(Draw draw, Extent e, bool transpose, int sequence)
    {
        var weight = transpose ? draw.Input("w", e.Columns, e.Depth) : draw.Input("w", e.Depth, e.Columns);
        return new("Linear")
        {
            Inputs = [draw.Input("x", e.Rows, e.Depth, 1), weight with { GradientOverTokens = true }],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1 }],
            Parameters = new Dictionary<string, object> { ["transpose"] = transpose },
            Sequence = sequence,
        };
    }
}
