namespace SparseExperts;

/// <summary>Scaled dot-product attention in the forms that models use.</summary>
static class AttentionCards
{
    /// <summary>Most sequences, keys and columns of a head in a drawn case; what lies beyond a tile is among each form's edges.</summary>
    const int MostSequences = 4, Longest = 20;

    static (int Queries, int Keys) EitherShorter(Draw draw, int length) =>
        draw.Coin() ? (draw.Between(1, length), length) : (length, draw.Between(1, length));

    static (int Queries, int Keys) FewQueries(Draw draw, int length) => (draw.Between(1, length), length);

    /// <param name="Causal">Later keys are masked.</param>
    /// <param name="Lengths">Numbers of queries and keys from about how many there should be; of keys alone where there are as many queries.</param>
    sealed record Form(string Name, bool Causal = false, bool Bias = false, bool Pad = false, Func<Draw, int, (int Queries, int Keys)>? Lengths = null)
    {
        public (int Queries, int Keys) Of(Draw draw, int length) => Lengths?.Invoke(draw, length) ?? (length, length);

        /// <summary>What else the shape has.</summary>
        public Func<Draw, AttentionShape, AttentionShape> With { get; init; } = (_, shape) => shape;

        /// <summary>Shapes that are no matter of lengths.</summary>
        public IReadOnlyList<AttentionShape> Edges { get; init; } = [];

        /// <summary>A row of the mask for every query.</summary>
        public bool PadsQueries { get; init; }
    }

    public static IEnumerable<OpCard> All =>
    [
        Attention(new("full")),
        Attention(new("causal", Causal: true)),
        Attention(new("bias", Causal: true, Bias: true)),
        Attention(new("pad", Bias: true, Pad: true)),
        Attention(new("cross", Bias: true, Pad: true, Lengths: EitherShorter)),
        Attention(new("cached", Causal: true, Lengths: FewQueries)),
        Attention(new("cached bias", Causal: true, Bias: true, Lengths: FewQueries)),
        .. AttentionForms.All.Select(f => Attention(Of(f))),
    ];

    static Form Of(AttentionForms.Form form) => new(form.Name, form.Causal, form.Bias, form.Pad)
    {
        With = form.With,
        Edges = form.Edges,
        PadsQueries = form.PadsQueries,
    };

    static OpCard Attention(Form form) => new()
    {
        Name = $"Attention {form.Name}",
        Family = "attention",
        Formula = "P = softmax(scale·QKᵀ + bias + pad, sink) without the sink's column, Y = P·V, per sequence and head; P_ij = 0 where i does not look",
        Gradient = "dV = PᵀdY, m = rowsum(P ∘ dYVᵀ), dS = P ∘ (dYVᵀ − m), dQ = scale·dS·K, dK = scale·dSᵀ·Q, dbias += Σ_sequences dS, dsink = −Σ P_sink·m",
        Source = "Vaswani et al. 2017, eq. 1; grouped heads: Ainslie et al. 2023; sinks: Xiao et al. 2023, transformers modeling_gpt_oss.py",
        SpecialValues = "A query whose keys are all masked by −∞ is NaN, or sees all keys alike where its shape says so; one that has no keys is 0. Masked " +
            "probabilities are exactly 0. Where a masked key or value is not finite, 0·∞ may or may not show.",
        Exactness = new Reduction("head width and keys"),
        Case = (draw, e) => Case(draw, e, form, form.Pad ? draw.Finite.Reals : null),
        MoreEdges = draw => Edges(draw, form),
        Forward = (b, c) => b.Attention(Shape(c), c["q"], c["k"], c["v"], Terms(c), c["saved"], c["y"]),
        Backward = Backward,
        Errors = [.. AttentionErrors.Of(form.Causal)],
    };

    static AttentionTerms Terms(OpCall c) => new(c.Optional("bias"), c.Optional("pad"), c.Optional("sinks"));

    static void Backward(IBackend b, OpCall c)
    {
        var shape = Shape(c);
        Matrix? dSinks = shape.Sinks ? c.Ones(shape.QueryRows, shape.Heads) : null;
        b.AttentionBackward(shape, c["q"], c["k"], c["v"], Terms(c), c["saved"], c["y"], c["dy"],
            c["dq"], c.Accumulate || c.Flag("addQ"), c["dk"], c.Accumulate || c.Flag("addK"), c["dv"], c.Accumulate || c.Flag("addV"),
            c.Optional("dbias"), dSinks);
        if (dSinks is { } rows) b.SumColumns(rows, c["dsinks"], shape.Queries, true);
    }

    /// <summary>One query, one key, lengths on both sides of the tiles; masks that leave each n-th key, or none; the form's own shapes.</summary>
    static IEnumerable<OpCase> Edges(Draw draw, Form form)
    {
        Func<int, double[]>? pads = form.Pad ? draw.Finite.Reals : null;
        (int, int)[] lengths = form switch
        {
            { Lengths: not null, Causal: true } => [(1, 1), (1, 40), (2, 33), (33, 70), (40, 41), (64, 128)],
            { Lengths: not null } => [(1, 1), (1, 40), (2, 33), (33, 70), (40, 41), (64, 128), (40, 1), (70, 33), (3, 0)],
            { Edges.Count: 0 } => [(33, 33), (70, 70)],
            _ => [],
        };
        foreach (var (i, (queries, keys)) in lengths.Index())
            yield return Of(draw, form.With(draw.Finite, Shape(2, queries, keys, heads: 2, width: i % 2 == 0 ? 5 : 40, form)), form, pads);
        foreach (var shape in form.Edges)
        {
            yield return Of(draw, shape, form, pads);
            if (form.Pad) yield return Of(draw, shape, form, count => Masked(count, 3)) with { Accumulate = true };
        }
        if (!form.Pad) yield break;
        yield return Case(draw, new(3, 5, 4), form, count => Masked(count, 2));
        yield return Case(draw, new(2, 17, 16), form, count => Masked(count, 3));
        yield return Case(draw, new(2, 3, 4), form, count => Masked(count, 0));
    }

    /// <summary>−∞ on every key but each <paramref name="step"/>-th; step 0 masks them all.</summary>
    static double[] Masked(int count, int step) => [.. Enumerable.Range(0, count).Select(i => step > 0 && i % step == 0 ? 0 : double.NegativeInfinity)];

    static OpCase Case(Draw any, Extent e, Form form, Func<int, double[]>? pads)
    {
        int heads = any.Between(1, 2), width = Math.Clamp(e.Depth, 1, Longest);
        var (queries, keys) = form.Of(any.Finite, Math.Clamp(e.Columns, 1, Longest));
        var shape = Shape(Math.Min(e.Rows, MostSequences), queries, keys, heads, width, form);
        return Of(any, form.With(any.Finite, shape), form, pads);
    }

    static AttentionShape Shape(int sequences, int queries, int keys, int heads, int width, Form form) =>
        new(sequences, queries, keys, heads, width, 1 / Math.Sqrt(width), form.Causal);

    static OpCase Of(Draw any, AttentionShape shape, Form form, Func<int, double[]>? pads)
    {
        var draw = any.Finite;
        var adds = draw.Coin() ? 0 : draw.Between(1, 7);        // which of dQ, dK, dV adds whatever the call asks for
        OpInput Input(string name, int length, int columns, int bit)
        {
            var input = draw.Input(name, shape.Sequences * length, columns, length);
            return input with { GradientAdds = (adds & bit) != 0 };
        }
        OpInput Shared(string name, int rows, int columns) => draw.Input(name, rows, columns) with { GradientAdds = true, GradientOverTokens = true };
        var biases = form.Bias ? new[] { Shared("bias", shape.Heads * shape.Queries, shape.Keys) } : [];
        var sinks = shape.Sinks ? new[] { Shared("sinks", 1, shape.Heads) } : [];
        var each = form.PadsQueries ? shape.Queries : 1;        // rows of the mask for a sequence
        var lines = shape.Sequences * each;
        var masks = pads is null ? [] : new[] { new OpInput("pad", lines, shape.Keys, pads(lines * shape.Keys)) { Batch = each } };
        return new("Attention")
        {
            Inputs =
            [
                Input("q", shape.Queries, shape.Width, 1), Input("k", shape.Keys, shape.KeyColumns, 2), Input("v", shape.Keys, shape.ValueColumns, 4),
                .. biases, .. masks, .. sinks,
            ],
            Outputs =
            [
                OpOutput.Kept("saved", (b, c) => b.AttentionSaved(Shape(c))),
                new("y", shape.QueryRows, shape.OutputColumns) { Batch = shape.Queries },
            ],
            Parameters = new Dictionary<string, object>
            {
                ["sequences"] = shape.Sequences,
                ["shape"] = shape,
                ["addQ"] = (adds & 1) != 0,
                ["addK"] = (adds & 2) != 0,
                ["addV"] = (adds & 4) != 0,
            },
            BatchParameter = "sequences",
            Sequence = form.Bias || shape.Sinks ? 1 : 0,
        };
    }

    static AttentionShape Shape(OpCall c) => Shape(c.Case);

    static AttentionShape Shape(OpCase c) => (AttentionShape)c.Parameters["shape"] with { Sequences = (int)c.Parameters["sequences"] };
}
