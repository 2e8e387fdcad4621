namespace SparseExperts;

/// <summary>Scaled dot-product attention in the forms that models use.</summary>
static class AttentionCards
{
    public static IEnumerable<OpCard> All =>
    [
        Attention("full", causal: false, bias: false, pad: false),
        Attention("causal", causal: true, bias: false, pad: false),
        Attention("bias", causal: true, bias: true, pad: false),
        Attention("pad", causal: false, bias: true, pad: true),
    ];

    static OpCard Attention(string form, bool causal, bool bias, bool pad) => new()
    {
        Name = $"Attention {form}",
        Family = "attention",
        Formula = "P = softmax(scale·QKᵀ + bias + pad), Y = P·V, per sequence and head; causal: P_ij = 0 for j > i",
        Gradient = "dV = PᵀdY, dS = P ∘ (dYVᵀ − rowsum(P ∘ dYVᵀ)), dQ = scale·dS·K, dK = scale·dSᵀ·Q, dbias += Σ_sequences dS",
        Source = "Vaswani et al. 2017, eq. 1",
        SpecialValues = "A query whose keys are all masked by −∞ is NaN. Masked probabilities are exactly 0. " +
            "Where a masked key or value is not finite, 0·∞ may or may not show.",
        Exactness = new Reduction("head width and keys"),
        Case = (draw, e) => Case(draw, e, causal, bias, pad ? draw.Finite.Reals : null),
        MoreEdges = draw => !pad ? [] :
        [
            Case(draw, new(3, 5, 4), causal, bias, count => Masked(count, 2)),
            Case(draw, new(2, 17, 16), causal, bias, count => Masked(count, 3)),
            Case(draw, new(2, 3, 4), causal, bias, count => Masked(count, 0)),
        ],
        Forward = (b, c) => b.Attention(Shape(c), c["q"], c["k"], c["v"], c.Optional("bias"), c.Optional("pad"), c["p"], c["y"]),
        Backward = (b, c) => b.AttentionBackward(Shape(c), c["q"], c["k"], c["v"], c["p"], c["dy"], c["dq"], c["dk"], c["dv"],
            c.Accumulate, c.Optional("dbias")),
        Errors =
        [
            new("queries",
                (b, _) => b.Attention(new(2, 3, 1, 4, 0.5, causal), b.Rent(5, 4), b.Rent(6, 4), b.Rent(6, 4), null, null, b.Rent(6, 3), b.Rent(6, 4)),
                "Attention: Q is 5×4, expected 6×4; reshape or rent it so"),
            new("probabilities",
                (b, _) => b.Attention(new(2, 3, 2, 2, 0.5, causal), b.Rent(6, 4), b.Rent(6, 4), b.Rent(6, 4), null, null, b.Rent(6, 3), b.Rent(6, 4)),
                "Attention: probabilities is 6×3, expected 12×3; reshape or rent it so"),
            new("bias",
                (b, _) => b.Attention(new(2, 3, 2, 2, 0.5, causal), b.Rent(6, 4), b.Rent(6, 4), b.Rent(6, 4), b.Rent(3, 3), null, b.Rent(12, 3), b.Rent(6, 4)),
                "Attention: bias is 3×3, expected 6×3; reshape or rent it so"),
            new("pad",
                (b, _) => b.Attention(new(2, 3, 2, 2, 0.5, causal), b.Rent(6, 4), b.Rent(6, 4), b.Rent(6, 4), null, b.Rent(3, 2), b.Rent(12, 3), b.Rent(6, 4)),
                "Attention: pad is 3×2, expected 2×3; reshape or rent it so"),
        ],
    };

    /// <summary>−∞ on every key but each <paramref name="step"/>-th; step 0 masks them all.</summary>
    static double[] Masked(int count, int step) => [.. Enumerable.Range(0, count).Select(i => step > 0 && i % step == 0 ? 0 : double.NegativeInfinity)];

    static OpCase Case(Draw any, Extent e, bool causal, bool bias, Func<int, double[]>? pads)
    {
        var draw = any.Finite;
        int sequences = Math.Min(e.Rows, 5), length = Math.Clamp(e.Columns, 1, 70), heads = draw.Between(1, 2), width = Math.Clamp(e.Depth, 1, 33);
        var biases = bias ? new[] { draw.Input("bias", heads * length, length) with { GradientAdds = true, GradientOverTokens = true } } : [];
        var masks = pads is null ? [] : new[] { new OpInput("pad", sequences, length, pads(sequences * length)) { Batch = 1 } };
        return new("Attention")
        {
            Inputs = [.. ((string[])["q", "k", "v"]).Select(name => draw.Input(name, sequences * length, heads * width, length)), .. biases, .. masks],
            Outputs =
            [
                new("p", sequences * heads * length, length) { Batch = heads * length, Saved = true },
                new("y", sequences * length, heads * width) { Batch = length },
            ],
            Parameters = new Dictionary<string, object>
            {
                ["sequences"] = sequences,
                ["length"] = length,
                ["heads"] = heads,
                ["headWidth"] = width,
                ["scale"] = 1 / Math.Sqrt(width),
                ["causal"] = causal,
            },
            BatchParameter = "sequences",
            Sequence = bias ? 1 : 0,
        };
    }

    static AttentionShape Shape(OpCall c) =>
        new(c.Count("sequences"), c.Count("length"), c.Count("heads"), c.Count("headWidth"), c.Number("scale"), c.Flag("causal"));
}
