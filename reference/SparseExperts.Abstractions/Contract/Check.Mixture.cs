namespace SparseExperts;

/// <summary>The rules of ops around experts.</summary>
public static partial class Check
{
    public static void GemmGroupedActivate(IBackend backend, Matrix a, Matrix b, Indices offsets, Matrix c, Matrix y)
    {
        GemmGrouped(backend, a, b, false, c, offsets);
        Owned(backend, "GemmGroupedActivate", y);
        Same("GemmGroupedActivate", "C", c, "Y", y);
    }

    public static void GemmGroupedActivateBackward(IBackend backend, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db)
    {
        const string op = "GemmGroupedActivateBackward";
        GemmGrouped(backend, dc, b, true, dx, offsets);
        GemmGroupedOuter(backend, a, dc, db, offsets);
        Owned(backend, op, x);
        Same(op, "X", x, "A", a);
        Same(op, "X", x, "dX", dx);
    }

    public static void SumSquares(IBackend backend, string op, Matrix x, Matrix like, Matrix y)
    {
        Owned(backend, op, x, like, y);
        Shape(op, "X", x, x.Rows, 1);
        Shape(op, "dX", like, x.Rows, 1);
        Shape(op, op == "SumSquares" ? "Y" : "dY", y, 1, 1);
    }

    /// <param name="perChoice">A number a choice [T, K].</param>
    /// <param name="perExpert">A number an expert [T, E].</param>
    public static void ChosenGates(IBackend backend, string op, Indices experts, Indices? rows, int count, Matrix perChoice, Matrix perExpert)
    {
        Owned(backend, op, perChoice, perExpert);
        if (perChoice.Rows != perExpert.Rows)
            throw new ShapeException($"{op}: experts' numbers are {perExpert.Shape}, choices' {perChoice.Shape}; both need one row a token");
        Owned(backend, op, experts, (int)perChoice.Count);
        if (rows is { } places) Owned(backend, op, places, (int)perChoice.Count);
        if (count < 0) throw new ShapeException($"{op}: {count} rows; give at least 0");
    }

    public static void Combine(IBackend backend, string op, Matrix x, Matrix gates, in PlanRows plan, Matrix y)
    {
        Owned(backend, op, x, gates, y);
        Shape(op, op == "Combine" ? "Y" : "dY", y, gates.Rows, x.Columns);
        Owned(backend, op, plan.ChoiceOfRow, x.Rows);
        Owned(backend, op, plan.RowOfChoice, (int)gates.Count);
    }

    public static void CombineBackward(IBackend backend, Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, Matrix dGates)
    {
        const string op = "CombineBackward";
        Combine(backend, op, x, gates, plan, dy);
        Owned(backend, op, plan.TokenOfRow, x.Rows);
        Owned(backend, op, dx, dGates);
        Same(op, "X", x, "dX", dx);
        Same(op, "gates", gates, "dGates", dGates);
    }

    public static void BalanceLoss(IBackend backend, string op, Matrix x, Matrix shares, Indices counts, int groups, Matrix y)
    {
        Owned(backend, op, x, shares, y);
        if (groups < 1 || x.Rows % groups != 0)
            throw new ShapeException($"{op}: {groups} groups of {x.Rows} rows; give groups of equal numbers of rows, at least one");
        Shape(op, "shares", shares, shares.Rows, 1);
        Owned(backend, op, counts, groups * x.Columns);
        Shape(op, op == "BalanceLoss" ? "Y" : "dY", y, 1, 1);
    }
}
