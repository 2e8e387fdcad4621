namespace SparseExperts;

/// <summary>Scaled dot-product attention in the forms that models use.</summary>
static class AttentionCards
{
    static (int Queries, int Keys) EitherShorter(Draw draw, int length) =>
        draw.Coin() ? (draw.Between(1, length), length) : (length, draw.Between(1, length));

    static (int Queries, int Keys) FewQueries(Draw draw, int length) => (draw.Between(1, length), length);

    /// <param name="Causal">Later keys are masked.</param>
    /// <param name="Lengths">Numbers of queries and keys from about how many there should be; of keys alone where there are as many queries.</param>
    sealed record Form(string Name, bool Causal = false, bool Bias = false, bool Pad = false, Func<Draw, int, (int Queries, int Keys)>? Lengths = null)
    {
        public (int Queries, int Keys) Of(Draw draw, int length) => Lengths?.Invoke(draw, length) ?? (length, length);
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
    ];

    static OpCard Attention(Form form) => new()
    {
        Name = $"Attention {form.Name}",
        Family = "attention",
        Formula = "P = softmax(scale·QKᵀ + bias + pad), Y = P·V, per sequence and head; causal: P_ij = 0 for j > i + keys − queries",
        Gradient = "dV = PᵀdY, dS = P ∘ (dYVᵀ − rowsum(P ∘ dYVᵀ)), dQ = scale·dS·K, dK = scale·dSᵀ·Q, dbias += Σ_sequences dS",
        Source = "Vaswani et al. 2017, eq. 1",
        SpecialValues = "A query whose keys are all masked by −∞ is NaN; one that has no keys is 0. Masked probabilities are exactly 0. " +
            "Where a masked key or value is not finite, 0·∞ may or may not show.",
        Exactness = new Reduction("head width and keys"),
        Case = (draw, e) => Case(draw, e, form, form.Pad ? draw.Finite.Reals : null),
        MoreEdges = draw => Edges(draw, form),
        Forward = (b, c) => b.Attention(Shape(c), c["q"], c["k"], c["v"], c.Optional("bias"), c.Optional("pad"), c["saved"], c["y"]),
        Backward = (b, c) => b.AttentionBackward(Shape(c), c["q"], c["k"], c["v"], c.Optional("bias"), c.Optional("pad"), c["saved"], c["y"], c["dy"],
            c["dq"], c.Accumulate || c.Flag("addQ"), c["dk"], c.Accumulate || c.Flag("addK"), c["dv"], c.Accumulate || c.Flag("addV"), c.Optional("dbias")),
        Errors = [.. Errors(form.Causal)],
    };

    static IEnumerable<OpError> Errors(bool causal)
    {
        var shape = new AttentionShape(2, 3, 4, 2, 2, 0.5, causal);
        OpError Forward(string name, Func<IBackend, (Matrix Q, Matrix K, Matrix? Bias, Matrix? Pad)> arguments, string message) => new(name, (b, _) =>
        {
            var (q, k, bias, pad) = arguments(b);
            var (rows, columns) = b.AttentionSaved(shape);
            b.Attention(shape, q, k, b.Rent(8, 4), bias, pad, b.Rent(rows, columns), b.Rent(6, 4));
        }, message);

        yield return Forward("queries", b => (b.Rent(5, 4), b.Rent(8, 4), null, null), "Attention: Q is 5×4, expected 6×4; reshape or rent it so");
        yield return Forward("keys", b => (b.Rent(6, 4), b.Rent(6, 4), null, null), "Attention: K is 6×4, expected 8×4; reshape or rent it so");
        yield return Forward("bias", b => (b.Rent(6, 4), b.Rent(8, 4), b.Rent(3, 3), null), "Attention: bias is 3×3, expected 6×4; reshape or rent it so");
        yield return Forward("pad", b => (b.Rent(6, 4), b.Rent(8, 4), null, b.Rent(3, 2)), "Attention: pad is 3×2, expected 2×4; reshape or rent it so");
        if (causal)
            yield return new("more causal queries than keys",
                (b, _) => b.Attention(shape with { Queries = 5 }, b.Rent(10, 4), b.Rent(8, 4), b.Rent(8, 4), null, null, b.Rent(1, 1), b.Rent(10, 4)),
                "Attention: 5 causal queries of 4 keys; the last query sees the last key, so give at least as many keys");
    }

    /// <summary>One query, one key, lengths on both sides of the tiles; masks that leave each n-th key, or none.</summary>
    static IEnumerable<OpCase> Edges(Draw draw, Form form)
    {
        Form Apart(int queries, int keys) => form with { Lengths = (_, _) => (queries, keys) };
        Func<int, double[]>? pads = form.Pad ? draw.Finite.Reals : null;
        if (form.Lengths is not null)
            foreach (var (queries, keys) in ((int, int)[])[(1, 1), (1, 40), (2, 33), (33, 70), (40, 41), (64, 128)])
                yield return Case(draw, new(2, keys, 5), Apart(queries, keys), pads);
        if (form.Lengths is not null && !form.Causal)
            foreach (var (queries, keys) in ((int, int)[])[(40, 1), (70, 33), (3, 0)])
                yield return Case(draw, new(2, keys, 5), Apart(queries, keys), pads);
        if (!form.Pad) yield break;
        yield return Case(draw, new(3, 5, 4), form, count => Masked(count, 2));
        yield return Case(draw, new(2, 17, 16), form, count => Masked(count, 3));
        yield return Case(draw, new(2, 3, 4), form, count => Masked(count, 0));
    }

    /// <summary>−∞ on every key but each <paramref name="step"/>-th; step 0 masks them all.</summary>
    static double[] Masked(int count, int step) => [.. Enumerable.Range(0, count).Select(i => step > 0 && i % step == 0 ? 0 : double.NegativeInfinity)];

    static OpCase Case(Draw any, Extent e, Form form, Func<int, double[]>? pads)
    {
        var draw = any.Finite;
        int sequences = Math.Min(e.Rows, 5), heads = draw.Between(1, 2), width = Math.Clamp(e.Depth, 1, 33);
        var (queries, keys) = form.Of(draw, Math.Clamp(e.Columns, 1, 70));
        var adds = draw.Coin() ? 0 : draw.Between(1, 7);        // which of dQ, dK, dV adds whatever the call asks for
        OpInput Input(string name, int length, int bit)
        {
            var input = draw.Input(name, sequences * length, heads * width, length);
            return input with { GradientAdds = (adds & bit) != 0 };
        }
        var biases = form.Bias ? new[] { draw.Input("bias", heads * queries, keys) with { GradientAdds = true, GradientOverTokens = true } } : [];
        var masks = pads is null ? [] : new[] { new OpInput("pad", sequences, keys, pads(sequences * keys)) { Batch = 1 } };
        return new("Attention")
        {
            Inputs = [Input("q", queries, 1), Input("k", keys, 2), Input("v", keys, 4), .. biases, .. masks],
            Outputs = [OpOutput.Kept("saved", (b, c) => b.AttentionSaved(Shape(c))), new("y", sequences * queries, heads * width) { Batch = queries }],
            Parameters = new Dictionary<string, object>
            {
                ["sequences"] = sequences,
                ["queries"] = queries,
                ["keys"] = keys,
                ["heads"] = heads,
                ["headWidth"] = width,
                ["scale"] = 1 / Math.Sqrt(width),
                ["causal"] = form.Causal,
                ["addQ"] = (adds & 1) != 0,
                ["addK"] = (adds & 2) != 0,
                ["addV"] = (adds & 4) != 0,
            },
            BatchParameter = "sequences",
            Sequence = form.Bias ? 1 : 0,
        };
    }

    static AttentionShape Shape(OpCall c) => Shape(c.Case);

    static AttentionShape Shape(OpCase c)
    {
        int Count(string name) => (int)c.Parameters[name];
        return new(
            Count("sequences"),
            Count("queries"),
            Count("keys"),
            Count("heads"),
            Count("headWidth"),
            (double)c.Parameters["scale"],
            (bool)c.Parameters["causal"]);
    }
}
