namespace SparseExperts;

/// <summary>Moving numbers without changing them.</summary>
static class MemoryCards
{
    public static IEnumerable<OpCard> All => [Copy, Fill, Cast];

    static OpCard Copy => new()
    {
        Name = "Copy",
        Family = "memory",
        Formula = "to = from",
        Gradient = "none in the contract: a tape's gradient goes through unchanged",
        Source = "row-by-row copy",
        SpecialValues = "Values are copied bit for bit, in any format that both have.",
        Exactness = new Bitwise(),
        Case = (draw, e) => Formats.Held("Copy", draw.Constant("from", e.Rows, e.Columns, 1), "to", draw.One(Formats.All)),
        Forward = (b, c) => b.Copy(c["from"], c["to"]),
        Errors =
        [
            new("destination", (b, _) => b.Copy(b.Rent(2, 3), b.Rent(3, 2)), "Copy: from is 2×3, to is 3×2; make the shapes equal"),
            new("formats", (b, _) => b.Copy(b.Rent(2, 3, ElementType.BFloat16), b.Rent(2, 3)),
                "Copy: from holds BFloat16, to holds Real; Cast moves numbers from a format to another"),
        ],
    };

    static OpCard Cast => new()
    {
        Name = "Cast",
        Family = "memory",
        Formula = "y = x in the format of y: real, bfloat16 or binary16",
        Gradient = "none here; on a tape it would be a Cast of dy",
        Source = "IEEE 754-2019, 4.3.1; bfloat16 as in Intel, BFLOAT16 hardware numerics definition, 2018",
        SpecialValues = "Rounded once to nearest even; ±∞ beyond the range; subnormals and signs of zeros are kept; a NaN is a NaN.",
        Exactness = new Bitwise(),
        Case = (draw, e) => Formats.Held("Cast", draw.Constant("x", e.Rows, e.Columns, 1), "y", draw.One(Formats.All), draw.One(Formats.All)),
        MoreEdges = draw => from source in Formats.All
                            from target in Formats.All
                            from columns in (int[])[1, 7, 41]
                            select Formats.Held("Cast", Special(columns), "y", source, target),
        Forward = (b, c) => b.Cast(c["x"], c["y"]),
        Errors =
        [
            new("destination", (b, _) => b.Cast(b.Rent(2, 3), b.Rent(3, 2, ElementType.BFloat16)), "Cast: X is 2×3, Y is 3×2; make the shapes equal"),
            new("integers", (b, _) => b.Cast(new(b.Rent(ElementType.Integer, 6), 2, 3), b.Rent(2, 3)),
                "Cast: a matrix views integers; rent it with ElementType.Real"),
        ],
    };

    /// <summary>Ties, ends of ranges, subnormals and what is no number, in rows of so many columns.</summary>
    static OpInput Special(int columns)
    {
        var values = Formats.Special.Take(Formats.Special.Count / columns * columns).ToArray();
        return new("x", values.Length / columns, columns, values) { Batch = 1 };
    }

    static OpCard Fill => new()
    {
        Name = "Fill",
        Family = "memory",
        Formula = "every element = value",
        Gradient = "none: constants have none",
        Source = "constant fill",
        SpecialValues = "Any value, rounded once to the backend's reals.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Fill")
        {
            Outputs = [new("matrix", e.Rows, e.Columns) { Batch = 1 }],
            Parameters = new Dictionary<string, object> { ["value"] = draw.Real() },
        },
        Forward = (b, c) => b.Fill(c["matrix"], c.Number("value")),
        Errors =
        [
            new("integers", (b, _) => b.Fill(new(b.Rent(ElementType.Integer, 6), 2, 3), 0), "Fill: a matrix views integers; rent it with ElementType.Real"),
            new("foreign matrix", (b, other) => b.Fill(other.Rent(2, 3), 0),
                "Fill: a matrix belongs to '{backend}', the op ran on '{backend}'; write its values there first"),
        ],
    };
}
