namespace SparseExperts;

/// <summary>Moving numbers without changing them.</summary>
static class MemoryCards
{
    public static IEnumerable<OpCard> All => [Copy, Fill];

    static OpCard Copy => new()
    {
        Name = "Copy",
        Family = "memory",
        Formula = "to = from",
        Gradient = "none: the tape shares views instead",
        Source = "row-by-row copy",
        SpecialValues = "Values are copied bit for bit.",
        Exactness = new Bitwise(),
        Case = (draw, e) => new("Copy")
        {
            Inputs = [draw.Constant("from", e.Rows, e.Columns, 1)],
            Outputs = [new("to", e.Rows, e.Columns) { Batch = 1 }],
        },
        Forward = (b, c) => b.Copy(c["from"], c["to"]),
        Errors = [new("destination", (b, _) => b.Copy(b.Rent(2, 3), b.Rent(3, 2)), "Copy: from is 2×3, to is 3×2; make the shapes equal")],
    };

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
