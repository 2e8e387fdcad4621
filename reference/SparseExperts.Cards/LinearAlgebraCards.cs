namespace SparseExperts;

/// <summary>Matrix products and their gradients, which are matrix products again.</summary>
static class LinearAlgebraCards
{
    const string Source = "row-by-column product; chains of fused multiply-adds in ascending k, blocks of 256 joined by halves";
    const string Special = "IEEE: 0·∞ and ∞ − ∞ are NaN, and a NaN reaches its own row and column only. K = 0 gives 0, or C when accumulating.";

    public static IEnumerable<OpCard> All =>
    [
        Gemm(false, false), Gemm(true, false), Gemm(false, true), Gemm(true, true), GemmGrouped(false), GemmGrouped(true), GemmOuter, GemmGroupedOuter,
        LinearCards.Linear(false), LinearCards.Linear(true), LinearCards.GemmAdd,
        LinearCards.FeedForward,
    ];

    static OpCard Gemm(bool ta, bool tb) => new()
    {
        Name = $"Gemm A{(ta ? "ᵀ" : "")}·B{(tb ? "ᵀ" : "")}",
        Family = "linear algebra",
        Formula = "c_ij (+)= Σ_k op(A)_ik · op(B)_kj",
        Gradient = (ta, tb) switch
        {
            (false, false) => "dA = dC·Bᵀ, dB = Aᵀ·dC",
            (true, false) => "dA = B·dCᵀ, dB = A·dC",
            (false, true) => "dA = dC·B, dB = dCᵀ·A",
            (true, true) => "dA = Bᵀ·dCᵀ, dB = dCᵀ·Aᵀ",
        },
        Source = Source,
        SpecialValues = Special,
        Exactness = new Reduction("k"),
        Case = (draw, e) => Product(draw, e, ta, tb),
        MoreEdges = draw => from accumulate in (bool[])[false, true]
                            from depth in (int[])[SumTree.ProductBlock + 1, 2 * SumTree.ProductBlock, 1100]
                            select Product(draw, new(5, 35, depth), ta, tb) with { Accumulate = accumulate },
        Forward = (b, c) => b.Gemm(c["a"], ta, c["b"], tb, c["c"], c.Accumulate),
        Backward = (b, c) =>
        {
            Matrix dc = c["dc"], da = c["da"], db = c["db"];
            if (ta) b.Gemm(c["b"], tb, dc, true, da, c.Accumulate);
            else b.Gemm(dc, false, c["b"], !tb, da, c.Accumulate);
            if (tb) b.Gemm(dc, true, c["a"], ta, db, c.Accumulate);
            else b.Gemm(c["a"], !ta, dc, false, db, c.Accumulate);
        },
        Errors = GemmErrors(ta, tb),
    };

    static OpCase Product(Draw draw, Extent e, bool ta, bool tb) => new("Gemm")
    {
        Inputs =
        [
            ta ? draw.Input("a", e.Depth, e.Rows) : draw.Input("a", e.Rows, e.Depth, batch: 1),
            tb ? draw.Input("b", e.Columns, e.Depth) : draw.Input("b", e.Depth, e.Columns),
        ],
        Outputs = [new("c", e.Rows, e.Columns) { Mode = OutputMode.Flagged, Batch = ta ? 0 : 1 }],
        Parameters = new Dictionary<string, object> { ["transposeA"] = ta, ["transposeB"] = tb },
    };

    static OpError[] GemmErrors(bool ta, bool tb)
    {
        Matrix A(IBackend b, int m, int k) => ta ? b.Rent(k, m) : b.Rent(m, k);
        Matrix B(IBackend b, int k, int n) => tb ? b.Rent(n, k) : b.Rent(k, n);
        return
        [
            new("inner dimensions", (b, _) => b.Gemm(A(b, 2, 3), ta, B(b, 4, 5), tb, b.Rent(2, 5), false),
                $"Gemm: inner dimensions differ: A{(ta ? "ᵀ" : "")} is 2×3, B{(tb ? "ᵀ" : "")} is 4×5 (A·B needs A.Columns = B.Rows)"),
            new("destination", (b, _) => b.Gemm(A(b, 2, 3), ta, B(b, 3, 5), tb, b.Rent(5, 2), false), "Gemm: C is 5×2, expected 2×5; reshape or rent it so"),
            new("foreign argument", (b, other) => b.Gemm(A(b, 2, 3), ta, B(other, 3, 5), tb, b.Rent(2, 5), false),
                "Gemm: a matrix belongs to '{backend}', the op ran on '{backend}'; write its values there first"),
            new("missing argument", (b, _) => b.Gemm(default, ta, B(b, 3, 5), tb, b.Rent(2, 5), false),
                "Gemm: an argument is missing; rent a matrix from '{backend}'"),
            new("integers", (b, _) => b.Gemm(new(b.Rent(ElementType.Integer, 6), ta ? 3 : 2, ta ? 2 : 3), ta, B(b, 3, 5), tb, b.Rent(2, 5), false),
                "Gemm: a matrix views integers; rent it with ElementType.Real"),
            new("view leaves its storage", (b, _) => b.Gemm(A(b, 2, 3), ta, B(b, 3, 5), tb, new(b.Rent(ElementType.Real, 9), 0, 2, 5, 5), false),
                "Gemm: a 2×5 view at 0 with stride 5 leaves its storage of 9; shrink the view"),
        ];
    }

    static OpCard GemmOuter => new()
    {
        Name = "GemmOuter",
        Family = "linear algebra",
        Formula = "C (+)= Σ_t a_tᵀ·b_t over tokens, blocks of sequences joined by halves",
        Gradient = "da_t = b_t·dCᵀ, db_t = a_t·dC",
        Source = "gradient of a weight that every token meets",
        SpecialValues = "IEEE: 0·∞ and ∞ − ∞ are NaN. No tokens give 0, or C + 0 when accumulating.",
        Exactness = new Reduction("tokens"),
        Case = (draw, e) => Outer(draw, e.Depth, e.Rows, e.Columns, draw.Sequence(e.Depth)),
        MoreEdges = draw => from sequence in (int[])[0, 1, 128, 300, 700]
                            from accumulate in (bool[])[false, true]
                            select Outer(draw, 700, 13, 33, sequence) with { Accumulate = accumulate },
        Forward = (b, c) => b.GemmOuter(c["a"], c["b"], c["c"], c.Sequence, c.Accumulate),
        Backward = (b, c) =>
        {
            b.Gemm(c["b"], false, c["dc"], true, c["da"], c.Accumulate);
            b.Gemm(c["a"], false, c["dc"], false, c["db"], c.Accumulate);
        },
        Errors =
        [
            new("tokens", (b, _) => b.GemmOuter(b.Rent(3, 2), b.Rent(4, 5), b.Rent(2, 5), 0, false),
                "GemmOuter: A is 3×2, B is 4×5; both need one row a token"),
            new("destination", (b, _) => b.GemmOuter(b.Rent(3, 2), b.Rent(3, 5), b.Rent(5, 2), 0, false),
                "GemmOuter: C is 5×2, expected 2×5; reshape or rent it so"),
            new("sequence", (b, _) => b.GemmOuter(b.Rent(3, 2), b.Rent(3, 5), b.Rent(2, 5), -3, false),
                "GemmOuter: sequences of -3 rows; give their length, or 0 where rows are no tokens"),
        ],
    };

    static OpCase Outer(Draw draw, int tokens, int rows, int columns, int sequence) => new("GemmOuter")
    {
        Inputs = [draw.Input("a", tokens, rows, 1), draw.Input("b", tokens, columns, 1)],
        Outputs = [new("c", rows, columns) { Mode = OutputMode.Flagged, OverTokens = true }],
        Sequence = sequence,
    };

    static OpCard GemmGrouped(bool tb) => new()
    {
        Name = $"GemmGrouped A·B{(tb ? "ᵀ" : "")}",
        Family = "linear algebra",
        Formula = "C[o_g … o_{g+1}) (+)= A[o_g … o_{g+1}) · op(B_g)",
        Gradient = tb ? "dA_g = dC_g·B_g, dB_g = dC_gᵀ·A_g" : "dA_g = dC_g·B_gᵀ, dB_g = A_gᵀ·dC_g",
        Source = "grouped product of a mixture of experts (Gale et al. 2022, section 4)",
        SpecialValues = Special + " An empty group writes nothing; rows in no group become 0, or stay when accumulating.",
        Exactness = new Reduction("k"),
        Case = (draw, e) => Grouped(draw, e, draw.Offsets(draw.Between(1, 5), e.Rows), tb),
        MoreEdges = draw =>
        [
            Grouped(draw, new(7, 9, 5), [2, 2, 6], tb) with { Accumulate = true },
            Grouped(draw, new(7, 9, 5), [2, 2, 6], tb),
            Grouped(draw, new(4, 3, 2), [0, 0, 4, 4], tb),
        ],
        Forward = (b, c) => b.GemmGrouped(c["a"], c["b"], tb, c["c"], c.Indices("offsets"), c.Accumulate),
        Backward = (b, c) =>
        {
            if (!tb)
            {
                b.GemmGroupedBackward(c["a"], c["b"], c["dc"], c.Indices("offsets"), c["da"], c.Accumulate, c["db"], c.Accumulate);
                return;
            }
            b.GemmGrouped(c["dc"], c["b"], false, c["da"], c.Indices("offsets"), c.Accumulate);
            b.GemmGroupedOuter(c["dc"], c["a"], c["db"], c.Indices("offsets"), c.Accumulate);
        },
        Errors =
        [
            new("inner dimensions", (b, _) => b.GemmGrouped(b.Rent(4, 3), tb ? b.Rent(10, 2) : b.Rent(4, 5), tb, b.Rent(4, 5), b.Upload([0, 1, 4]), false),
                $"GemmGrouped: inner dimensions differ: A is 4×3, each B{(tb ? "ᵀ" : "")} is 2×5 (A·B needs A.Columns = B.Rows)"),
            new("descending offsets", (b, _) => b.GemmGrouped(b.Rent(4, 3), tb ? b.Rent(10, 3) : b.Rent(6, 5), tb, b.Rent(4, 5), b.Upload([0, 3, 2]), false),
                "GemmGrouped: offset 2 after 3 with 4 rows; offsets ascend within 0…rows"),
            new("offset beyond the rows",
                (b, _) => b.GemmGrouped(b.Rent(4, 3), tb ? b.Rent(10, 3) : b.Rent(6, 5), tb, b.Rent(4, 5), b.Upload([0, 3, 5]), false),
                "GemmGrouped: offset 5 after 3 with 4 rows; offsets ascend within 0…rows"),
            new("no offsets", (b, _) => b.GemmGrouped(b.Rent(4, 3), b.Rent(6, 5), tb, b.Rent(4, 5), b.Upload([]), false),
                "GemmGrouped: no offsets; give one more offset than groups"),
            new("uneven stack", (b, _) => b.GemmGrouped(b.Rent(4, 3), b.Rent(7, 5), tb, b.Rent(4, 5), b.Upload([0, 2, 4]), false),
                "GemmGrouped: B has 7 rows for 2 groups; stack equal matrices"),
        ],
    };

    static OpCase Grouped(Draw draw, Extent e, int[] offsets, bool tb) => new("GemmGrouped")
    {
        Inputs = [draw.Input("a", e.Rows, e.Depth), draw.Input("b", (offsets.Length - 1) * (tb ? e.Columns : e.Depth), tb ? e.Depth : e.Columns)],
        Outputs = [new("c", e.Rows, e.Columns) { Mode = OutputMode.Flagged }],
        Integers = [new("offsets", offsets)],
        Parameters = new Dictionary<string, object> { ["transposeB"] = tb },
    };

    static OpCard GemmGroupedOuter => new()
    {
        Name = "GemmGroupedOuter",
        Family = "linear algebra",
        Formula = "B_g (+)= A[o_g … o_{g+1})ᵀ · C[o_g … o_{g+1})",
        Gradient = "dA_g = C_g·dB_gᵀ, dC_g = A_g·dB_g",
        Source = "weight gradient of GemmGrouped",
        SpecialValues = Special + " An empty group gives a matrix of zeros, or what was there when accumulating.",
        Exactness = new Reduction("rows of a group"),
        Case = (draw, e) => Outer(draw, e, draw.Offsets(draw.Between(1, 5), e.Rows)),
        MoreEdges = draw =>
        [
            Outer(draw, new(7, 9, 5), [0, 2, 2, 7]),
            Outer(draw, new(7, 9, 5), [2, 6]) with { Accumulate = true },
            Outer(draw, new(310, 9, 5), [0, 300, 310]) with { Accumulate = true },
        ],
        Forward = (b, c) => b.GemmGroupedOuter(c["a"], c["c"], c["b"], c.Indices("offsets"), c.Accumulate),
        Backward = (b, c) =>
        {
            b.GemmGrouped(c["c"], c["db"], true, c["da"], c.Indices("offsets"), c.Accumulate);
            b.GemmGrouped(c["a"], c["db"], false, c["dc"], c.Indices("offsets"), c.Accumulate);
        },
        Errors =
        [
            new("unequal rows", (b, _) => b.GemmGroupedOuter(b.Rent(4, 3), b.Rent(5, 2), b.Rent(6, 2), b.Upload([0, 1, 4]), false),
                "GemmGroupedOuter: A is 4×3, C is 5×2; both need one row a token"),
            new("destination", (b, _) => b.GemmGroupedOuter(b.Rent(4, 3), b.Rent(4, 2), b.Rent(3, 2), b.Upload([0, 1, 4]), false),
                "GemmGroupedOuter: B is 3×2, expected 6×2; reshape or rent it so"),
        ],
    };

    static OpCase Outer(Draw draw, Extent e, int[] offsets) => new("GemmGroupedOuter")
    {
        Inputs = [draw.Input("a", e.Rows, e.Depth), draw.Input("c", e.Rows, e.Columns)],
        Outputs = [new("b", (offsets.Length - 1) * e.Depth, e.Columns) { Mode = OutputMode.Flagged }],
        Integers = [new("offsets", offsets)],
    };
}
