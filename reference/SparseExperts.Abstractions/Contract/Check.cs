namespace SparseExperts;

/// <summary>
/// The argument rules of every op, shared by all backends, so that a wrong call fails with the same line everywhere:
/// op, what, both shapes or owners, what to do.
/// </summary>
public static partial class Check
{
    public static void Owned(IBackend backend, string op, Indices indices, int count)
    {
        if (indices.Storage is null || !ReferenceEquals(indices.Storage.Owner, backend))
        {
            var owner = indices.Storage?.Owner.Info.Name ?? "nobody";
            throw new ShapeException($"{op}: the indices belong to '{owner}', the op ran on '{backend.Info.Name}'; upload them there");
        }
        if (indices.Storage.Type != ElementType.Integer) throw new ShapeException($"{op}: the indices view reals; rent them with ElementType.Integer");
        if (indices.Count != count) throw new ShapeException($"{op}: {indices.Count} indices for {count} rows; give one index a row");
        if (indices.Offset < 0 || indices.Offset + indices.Count > indices.Storage.Length)
            throw new ShapeException($"{op}: {indices.Count} indices at {indices.Offset} leave their storage of {indices.Storage.Length}; shrink the view");
    }

    public static void Same(string op, string nameA, Matrix a, string nameB, Matrix b)
    {
        if (a.Rows != b.Rows || a.Columns != b.Columns)
            throw new ShapeException($"{op}: {nameA} is {a.Shape}, {nameB} is {b.Shape}; make the shapes equal");
    }

    public static void Shape(string op, string name, Matrix a, int rows, int columns)
    {
        if (a.Rows != rows || a.Columns != columns)
            throw new ShapeException($"{op}: {name} is {a.Shape}, expected {rows}×{columns}; reshape or rent it so");
    }

    public static void Gemm(IBackend backend, string op, Matrix a, bool ta, Matrix b, bool tb, Matrix c)
    {
        Owned(backend, op, a, b, c);
        int m = ta ? a.Columns : a.Rows, k = ta ? a.Rows : a.Columns, k2 = tb ? b.Columns : b.Rows, n = tb ? b.Rows : b.Columns;
        if (k != k2)
        {
            var shapes = $"A{(ta ? "ᵀ" : "")} is {m}×{k}, B{(tb ? "ᵀ" : "")} is {k2}×{n}";
            throw new ShapeException($"{op}: inner dimensions differ: {shapes} (A·B needs A.Columns = B.Rows)");
        }
        Shape(op, "C", c, m, n);
    }

    public static void GemmAdd(IBackend backend, Matrix start, Matrix a, Matrix b, Matrix c)
    {
        Gemm(backend, "GemmAdd", a, false, b, false, c);
        Owned(backend, "GemmAdd", start);
        Same("GemmAdd", "C", c, "S", start);
    }

    public static void GemmOuter(IBackend backend, Matrix a, Matrix b, Matrix c, int sequence)
    {
        const string op = "GemmOuter";
        Owned(backend, op, a, b, c);
        if (a.Rows != b.Rows) throw new ShapeException($"{op}: A is {a.Shape}, B is {b.Shape}; both need one row a token");
        Shape(op, "C", c, a.Columns, b.Columns);
        Sequence(op, sequence);
    }

    public static void LinearBackward(IBackend backend, Matrix x, Matrix w, bool transposeW, Matrix dy, int sequence, Matrix dx, Matrix dw)
    {
        const string op = "LinearBackward";
        Gemm(backend, op, x, false, w, transposeW, dy);
        Owned(backend, op, dx, dw);
        Same(op, "X", x, "dX", dx);
        Same(op, "W", w, "dW", dw);
        Sequence(op, sequence);
    }

    public static void Sequence(string op, int sequence)
    {
        if (sequence < 0) throw new ShapeException($"{op}: sequences of {sequence} rows; give their length, or 0 where rows are no tokens");
    }

    public static int Groups(string op, ReadOnlySpan<int> offsets, int rows)
    {
        if (offsets.Length < 1) throw new ShapeException($"{op}: no offsets; give one more offset than groups");
        var before = 0;
        foreach (var offset in offsets)
        {
            if (offset < before || offset > rows)
                throw new ShapeException($"{op}: offset {offset} after {before} with {rows} rows; offsets ascend within 0…rows");
            before = offset;
        }
        return offsets.Length - 1;
    }

    /// <summary>The number of groups of offsets that are not looked at.</summary>
    static int Groups(IBackend backend, string op, Indices offsets)
    {
        if (offsets.Count < 1) throw new ShapeException($"{op}: no offsets; give one more offset than groups");
        Owned(backend, op, offsets, offsets.Count);
        return offsets.Count - 1;
    }

    public static void GemmGrouped(IBackend backend, Matrix a, Matrix b, bool tb, Matrix c, Indices offsets)
    {
        const string op = "GemmGrouped";
        Owned(backend, op, a, b, c);
        var groups = Groups(backend, op, offsets);
        if (groups == 0)
        {
            if (a.Rows != c.Rows) throw new ShapeException($"{op}: A is {a.Shape}, C is {c.Shape}; both need one row a token");
            return;
        }
        if (b.Rows % groups != 0) throw new ShapeException($"{op}: B has {b.Rows} rows for {groups} groups; stack equal matrices");
        int rows = b.Rows / groups, k = tb ? b.Columns : rows, n = tb ? rows : b.Columns;
        if (a.Columns != k)
        {
            var shapes = $"A is {a.Shape}, each B{(tb ? "ᵀ" : "")} is {k}×{n}";
            throw new ShapeException($"{op}: inner dimensions differ: {shapes} (A·B needs A.Columns = B.Rows)");
        }
        Shape(op, "C", c, a.Rows, n);
    }

    public static void GemmGroupedOuter(IBackend backend, Matrix a, Matrix c, Matrix b, Indices offsets)
    {
        const string op = "GemmGroupedOuter";
        Owned(backend, op, a, b, c);
        var groups = Groups(backend, op, offsets);
        if (a.Rows != c.Rows) throw new ShapeException($"{op}: A is {a.Shape}, C is {c.Shape}; both need one row a token");
        Shape(op, "B", b, groups * a.Columns, c.Columns);
    }

    public static void Plan(IBackend backend, in PlanRule rule, in PlanInputs from, in PlanArrays to)
    {
        const string op = "Plan";
        Input(backend, op, "numbers", from.Ranked, rule.Tokens, rule.Experts);
        Input(backend, op, "bias", from.Bias, 1, rule.Experts);
        Input(backend, op, "scores", from.Scores, rule.Tokens, rule.Experts);
        Input(backend, op, "draws", from.Draws, rule.Tokens, rule.Choices);
        if (rule.Later.Draws && from.Draws is null) throw new ShapeException($"{op}: the test of later choices needs a draw for each; give draws");
        if (rule.ByExperts && (rule.Choices != rule.Experts || rule.Capacity < 1 || rule.Capacity > rule.Size || from.Bias is not null))
            throw new ShapeException($"{op}: experts that choose take 1 to {rule.Size} tokens and no bias, and a token has a choice for each; change the rule");
        if (rule.Choices < 1 || rule.Choices > rule.Experts)
            throw new ShapeException($"{op}: {rule.Choices} choices among {rule.Experts} experts; give at least one choice and at most one an expert");
        if (rule.Capacity < 0) throw new ShapeException($"{op}: {rule.Capacity} slots; give at least 0");
        int choices = rule.Tokens * rule.Choices;
        Owned(backend, op, to.Expert, choices);
        Owned(backend, op, to.Slot, choices);
        Owned(backend, op, to.Fault, rule.Tokens);
        Owned(backend, op, to.Row, choices);
        Owned(backend, op, to.Offsets, rule.Experts + 1);
        Owned(backend, op, to.TokenOfRow, rule.Rows);
        Owned(backend, op, to.ChoiceOfRow, rule.Rows);
        Owned(backend, op, to.Asked, 2 * rule.Groups * rule.Experts);
        Owned(backend, op, to.Counted, choices);
    }

    static void Input(IBackend backend, string op, string name, Matrix? matrix, int rows, int columns)
    {
        if (matrix is not { } given) return;
        Owned(backend, op, given);
        Shape(op, name, given, rows, columns);
    }

    public static void MoveBias(IBackend backend, Indices offsets, Matrix factor, Matrix bias)
    {
        const string op = "MoveBias";
        Owned(backend, op, factor, bias);
        Shape(op, "factor", factor, 1, 1);
        Shape(op, "bias", bias, 1, bias.Columns);
        Owned(backend, op, offsets, bias.Columns + 1);
    }

    public static void Clamp(IBackend backend, string op, Matrix x, double low, double high, Matrix from, Matrix to)
    {
        Owned(backend, op, x, from, to);
        Same(op, "X", x, op == "Clamp" ? "Y" : "dX", to);
        Same(op, "X", x, "dY", from);
        if (!(low <= high)) throw new ShapeException($"{op}: bounds {low} and {high}; give the lower one first");
    }

    public static void Gated(IBackend backend, Matrix gate, Matrix linear, Matrix y)
    {
        const string op = "Gated";
        Owned(backend, op, gate, linear, y);
        Same(op, "gate", gate, "linear", linear);
        Same(op, "gate", gate, "Y", y);
    }

    public static void GatedBackward(IBackend backend, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, Matrix dLinear)
    {
        const string op = "GatedBackward";
        Owned(backend, op, gate, linear, dy, dGate, dLinear);
        Same(op, "gate", gate, "linear", linear);
        Same(op, "gate", gate, "dY", dy);
        Same(op, "gate", gate, "dGate", dGate);
        Same(op, "gate", gate, "dLinear", dLinear);
    }

    public static void Rate(string op, double rate)
    {
        if (!(rate >= 0 && rate < 1)) throw new ShapeException($"{op}: rate {rate} is outside [0, 1); give the fraction to drop");
    }

    public static void Dropout(IBackend backend, Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y)
    {
        const string op = "Dropout";
        Owned(backend, op, x, y);
        Same(op, "X", x, "Y", y);
        Rate(op, rate);
        if (rows is { } indices) Owned(backend, op, indices, x.Rows);
        if (words.Offset < 0 || words.RowStride < x.Columns)
        {
            var place = $"words at {words.Offset} with a row stride of {words.RowStride}";
            throw new ShapeException($"{op}: {place} for {x.Columns} columns; rows must not share words");
        }
    }

    public static void Rotary(IBackend backend, Matrix x, Matrix cosines, Matrix sines, int headWidth, Matrix y)
    {
        const string op = "Rotary";
        Owned(backend, op, x, cosines, sines, y);
        Same(op, "X", x, "Y", y);
        Same(op, "cosines", cosines, "sines", sines);
        if (headWidth < 2 || headWidth % 2 != 0 || x.Columns % headWidth != 0)
            throw new ShapeException($"{op}: head width {headWidth} for {x.Columns} columns; give an even width that divides the columns");
        if (cosines.Columns != headWidth / 2 || cosines.Rows < 1)
            throw new ShapeException($"{op}: tables are {cosines.Shape}, expected positions×{headWidth / 2}; build them for head width {headWidth}");
    }

    public static void StepFactor(IBackend backend, Matrix squares, Matrix loss, Matrix before, Matrix y)
    {
        const string op = "StepFactor";
        Owned(backend, op, squares, loss, before, y);
        Shape(op, "squares", squares, squares.Rows, 1);
        Shape(op, "loss", loss, 1, 1);
        Shape(op, "before", before, 1, 1);
        Shape(op, "Y", y, 1, 3);
    }

    public static void AdamW(IBackend backend, Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor)
    {
        Owned(backend, "AdamW", parameter, gradient, first, second, factor);
        Shape("AdamW", "factor", factor, 1, 1);
        Same("AdamW", "parameter", parameter, "gradient", gradient);
        Same("AdamW", "parameter", parameter, "first moment", first);
        Same("AdamW", "parameter", parameter, "second moment", second);
    }

    public static void Adafactor(IBackend backend, Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum,
        Matrix factor)
    {
        const string op = "Adafactor";
        Owned(backend, op, parameter, gradient, rows, columns, factor);
        Shape(op, "factor", factor, 1, 1);
        Same(op, "parameter", parameter, "gradient", gradient);
        Shape(op, "rows", rows, parameter.Rows, 1);
        if (columns.Rows < 1 || parameter.Rows % columns.Rows != 0)
            throw new ShapeException($"{op}: columns are {columns.Shape} for {parameter.Rows} rows; give one row of them a matrix, and equal matrices");
        Shape(op, "columns", columns, columns.Rows, parameter.Columns);
        Momentum(backend, op, parameter, momentum);
    }

    static void Momentum(IBackend backend, string op, Matrix parameter, Matrix? momentum)
    {
        if (momentum is not { } m) return;
        Owned(backend, op, m, "momentum");
        Same(op, "parameter", parameter, "momentum", m);
    }

    public static void AdafactorUnfactored(IBackend backend, Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor)
    {
        const string op = "AdafactorUnfactored";
        Owned(backend, op, parameter, gradient, second, factor);
        Shape(op, "factor", factor, 1, 1);
        Same(op, "parameter", parameter, "gradient", gradient);
        Same(op, "parameter", parameter, "second moment", second);
        Momentum(backend, op, parameter, momentum);
    }

    public static void RunSquares(IBackend backend, Matrix x, Indices offsets, Matrix y)
    {
        const string op = "RunSquares";
        Owned(backend, op, x, y);
        Owned(backend, op, offsets, y.Rows + 1);
        Shape(op, "X", x, 1, x.Columns);
        Shape(op, "Y", y, y.Rows, 1);
    }

    public static void CrossEntropy(IBackend backend, string op, Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
    {
        Owned(backend, op, logits, losses, logSums);
        Owned(backend, op, labels, logits.Rows);
        Shape(op, "losses", losses, logits.Rows, 1);
        Shape(op, "log sums", logSums, logits.Rows, 1);
        Rate(op, smoothing);
    }

    public static void Norm(IBackend backend, string op, Matrix x, Matrix weight, Matrix y, Matrix statistics, int width)
    {
        Owned(backend, op, x, weight, y, statistics);
        Same(op, "X", x, "Y", y);
        Shape(op, "weight", weight, 1, x.Columns);
        Shape(op, "statistics", statistics, x.Rows, width);
    }

    public static void RowIndices(IBackend backend, string op, Matrix x, Matrix y, Indices rows, int count)
    {
        Owned(backend, op, x, y);
        Owned(backend, op, rows, count);
        if (x.Columns != y.Columns) throw new ShapeException($"{op}: X is {x.Shape}, Y is {y.Shape}; give both the same columns");
    }

    /// <summary>For ops that see their indices on the host and stop at a wrong one.</summary>
    public static void Indices(IndexRule rule, ReadOnlySpan<int> indices)
    {
        if (rule.Find(indices) is { } fault) throw new ShapeException(fault.Message);
    }
}
