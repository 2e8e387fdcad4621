namespace SparseExperts;

/// <summary>What a router and its losses compute around the experts' products.</summary>
static class MixtureCards
{
    public static IEnumerable<OpCard> All => [ChosenGates, Combine, BalanceLoss];

    static OpCard ChosenGates => new()
    {
        Name = "ChosenGates",
        Family = "mixture",
        Formula = "y_tj = x_{t, e_tj}, 0 where that is −1; with rows times 1 for a choice that has one and times 0 for one without",
        Gradient = "dx_{t, e_tj} (+)= dy_tj, times 1 or 0, in ascending j; 0 elsewhere",
        Source = "gates of the experts that serve a token (Fedus et al. 2022, eq. 2)",
        SpecialValues = "IEEE: 0·∞ is NaN, −x·0 is −0. An expert that comes twice in a token has both its slopes.",
        Exactness = new Reduction("choices"),
        Case = (draw, e) => Chosen(draw, e.Rows, e.Columns, draw.Between(1, 3), draw.Coin() ? e.Depth : null),
        MoreEdges = draw => [Chosen(draw, ManyTokens, 3, 2, 5), Chosen(draw, ManyTokens, 3, 1, null), Chosen(draw, 5, 3, 0, 2)],
        Forward = (b, c) => b.ChosenGates(c["x"], c.Indices("experts"), c.OptionalIndices("rows"), c.Count("count"), c["y"]),
        Backward = (b, c) => b.ChosenGatesBackward(c.Indices("experts"), c.OptionalIndices("rows"), c.Count("count"), c["dy"], c["dx"], c.Accumulate),
        Errors =
        [
            new("tokens", (b, _) => b.ChosenGates(b.Rent(2, 3), b.Upload([0, 0, 0]), null, 0, b.Rent(3, 1)),
                "ChosenGates: experts' numbers are 2×3, choices' 3×1; both need one row a token"),
            new("one index short", (b, _) => b.ChosenGates(b.Rent(2, 3), b.Upload([0, 0, 0]), null, 0, b.Rent(2, 2)),
                "ChosenGates: 3 indices for 4 rows; give one index a row"),
            new("row outside", (b, _) => b.ChosenGates(b.Zeros(2, 3), b.Upload([0, 0]), b.Upload([1, 2]), 2, b.Rent(2, 1)),
                "ChosenGates: index 2 at row 1 is outside 0…1; -1 means none"),
            new("count", (b, _) => b.ChosenGatesBackward(b.Upload([0, 0]), null, -1, b.Rent(2, 1), b.Rent(2, 3), false),
                "ChosenGatesBackward: -1 rows; give at least 0"),
        ],
    };

    /// <summary>More tokens than a block of a GPU's threads has.</summary>
    const int ManyTokens = 700;

    static OpCase Chosen(Draw draw, int tokens, int experts, int choices, int? rows)
    {
        var count = tokens * choices;
        var expert = new OpIntegers("experts", draw.Indices(count, experts, -1)) { Rule = new("ChosenGates", experts, -1) };
        return new("ChosenGates")
        {
            Inputs = [draw.Input("x", tokens, experts)],
            Integers = rows is not { } r ? [expert] : [expert, new("rows", draw.Indices(count, r, -1)) { Rule = new("ChosenGates", r, -1) }],
            Outputs = [new("y", tokens, choices)],
            Parameters = new Dictionary<string, object> { ["count"] = rows ?? 0 },
        };
    }

    static OpCard Combine => new()
    {
        Name = "Combine",
        Family = "mixture",
        Formula = "y_t = Σ_j g_tj·x_{row of (t, j)} in the order of the choices; a choice without a row adds 0",
        Gradient = "dx_r (+)= g_r·dy_{token of r}, dg_tj (+)= ⟨dy, x⟩ of the row of (t, j), in 16 lanes",
        Source = "output of a mixture of experts (Shazeer et al. 2017, eq. 1)",
        SpecialValues = "IEEE: 0·∞ is NaN; a token without rows is +0.",
        Exactness = new Reduction("choices, or columns"),
        Case = (draw, e) => Combined(draw, e.Rows, e.Columns, draw.Between(1, 3), e.Depth),
        MoreEdges = draw => [Combined(draw, 300, 5, 2, 500), Combined(draw, 5, 300, 1, 4), Combined(draw, 5, 3, 0, 2)],
        Forward = (b, c) => b.Combine(c["x"], c["gates"], Rows(c), c["y"]),
        Backward = (b, c) => b.CombineBackward(c["x"], c["gates"], Rows(c), c["dy"], c["dx"], c.Accumulate, c["dgates"], c.Accumulate),
        Errors =
        [
            new("destination", (b, _) => b.Combine(b.Rent(3, 4), b.Rent(2, 1), new(b.Upload([0, 1, 0]), b.Upload([0, 1, 0]), b.Upload([0, 1])), b.Rent(2, 5)),
                "Combine: Y is 2×5, expected 2×4; reshape or rent it so"),
            new("row outside", (b, _) => b.Combine(b.Zeros(3, 4), b.Zeros(2, 1), new(b.Upload([0, 1, 0]), b.Upload([0, 1, 0]), b.Upload([0, 3])), b.Rent(2, 4)),
                "Combine: index 3 at row 1 is outside 0…2; -1 means none"),
            new("gradient",
                (b, _) => b.CombineBackward(b.Rent(1, 4), b.Rent(2, 1), new(b.Upload([0]), b.Upload([0]), b.Upload([0, 0])), b.Rent(2, 4), b.Rent(1, 4), false,
                    b.Rent(1, 2), false),
                "CombineBackward: gates is 2×1, dGates is 1×2; make the shapes equal"),
        ],
    };

    static PlanRows Rows(OpCall call) => new(call.Indices("tokenOfRow"), call.Indices("choiceOfRow"), call.Indices("rowOfChoice"));

    /// <summary>A plan: a row carries a choice or nobody, and no two choices share one.</summary>
    static OpCase Combined(Draw draw, int tokens, int columns, int choices, int rows)
    {
        int[] row = draw.Indices(tokens * choices, rows, -1), token = new int[rows], choice = new int[rows];
        Array.Fill(token, -1);
        Array.Fill(choice, -1);
        for (var i = 0; i < row.Length; i++)
        {
            if (row[i] >= 0 && token[row[i]] >= 0) row[i] = -1;
            if (row[i] >= 0) (token[row[i]], choice[row[i]]) = (i % tokens, i % tokens * choices + i / tokens);
        }
        return new("Combine")
        {
            Inputs = [draw.Input("x", rows, columns), draw.Input("gates", tokens, choices)],
            Integers =
            [
                new("rowOfChoice", row) { Rule = new("Combine", rows, -1) },
                new("choiceOfRow", choice) { Rule = new("Combine", tokens * choices, -1) },
                new("tokenOfRow", token) { Rule = new("CombineBackward", tokens, -1) },
            ],
            Outputs = [new("y", tokens, columns)],
        };
    }

    static OpCard BalanceLoss => new()
    {
        Name = "BalanceLoss",
        Family = "mixture",
        Formula = "y = Σ_g Σ_j w_gj·(factor·Σ_{r in g} x_rj), w_gj the share that counts_gj names",
        Gradient = "dx_rj (+)= (dy·w_gj)·factor, g the group of row r",
        Source = "Fedus et al. 2022, eq. 4",
        SpecialValues = "IEEE: 0·∞ is NaN; a count of −1 has share 0; no rows give 0.",
        Exactness = new Reduction("rows, columns and groups"),
        Case = (draw, e) => Balance(draw, draw.Between(1, 3), e.Rows, e.Columns, e.Depth, draw.One(0, 1, Math.Max(1, e.Rows), 3 * e.Rows)),
        MoreEdges = draw =>
        [
            Balance(draw, 1, 700, 3, 9, 128), Balance(draw, 1, 700, 19, 9, 300), Balance(draw, 5, 260, 3, 9, 130), Balance(draw, 300, 1, 2, 3, 4),
            Balance(draw, 300, 1, 2, 3, 1), Balance(draw, 2, 3, 600, 4, 0), Balance(draw, 3, 0, 5, 4, 2),
        ],
        Forward = (b, c) => b.BalanceLoss(c["x"], c["shares"], c.Indices("counts"), c.Count("groups"), c.Number("factor"), c.Count("sequence"), c["y"]),
        Backward = (b, c) => b.BalanceLossBackward(c["shares"], c.Indices("counts"), c.Count("groups"), c.Number("factor"), c["dy"], c["dx"], c.Accumulate),
        Errors =
        [
            new("groups", (b, _) => b.BalanceLoss(b.Rent(3, 2), b.Rent(4, 1), b.Upload([0, 0, 0, 0]), 2, 1, 0, b.Rent(1, 1)),
                "BalanceLoss: 2 groups of 3 rows; give groups of equal numbers of rows, at least one"),
            new("shares", (b, _) => b.BalanceLoss(b.Rent(2, 2), b.Rent(1, 4), b.Upload([0, 0]), 1, 1, 0, b.Rent(1, 1)),
                "BalanceLoss: shares is 1×4, expected 1×1; reshape or rent it so"),
            new("count outside", (b, _) => b.BalanceLoss(b.Zeros(2, 2), b.Zeros(4, 1), b.Upload([0, 4]), 1, 1, 0, b.Rent(1, 1)),
                "BalanceLoss: index 4 at row 1 is outside 0…3; -1 means none"),
            new("sequence", (b, _) => b.BalanceLoss(b.Rent(2, 2), b.Rent(4, 1), b.Upload([0, 0]), 1, 1, -1, b.Rent(1, 1)),
                "BalanceLoss: sequences of -1 rows; give their length, or 0 where rows are no tokens"),
            new("cotangent", (b, _) => b.BalanceLossBackward(b.Rent(4, 1), b.Upload([0, 0]), 1, 1, b.Rent(2, 1), b.Rent(2, 2), false),
                "BalanceLossBackward: dY is 2×1, expected 1×1; reshape or rent it so"),
        ],
    };

    static OpCase Balance(Draw draw, int groups, int size, int experts, int shares, int sequence) => new("BalanceLoss")
    {
        Inputs = [draw.Input("x", groups * size, experts), draw.Constant("shares", shares, 1)],
        Integers = [new("counts", draw.Indices(groups * experts, shares, -1)) { Rule = new("BalanceLoss", shares, -1) }],
        Outputs = [new("y", 1, 1)],
        Parameters = new Dictionary<string, object>
        {
            ["groups"] = groups,
            ["factor"] = draw.One(1.0, -0.375, 1.0 / 3),
            ["sequence"] = sequence,
        },
    };
}
