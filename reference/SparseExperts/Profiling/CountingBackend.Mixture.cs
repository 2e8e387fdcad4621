namespace SparseExperts.Profiling;

/// <summary>The ops around experts, counted one by one.</summary>
public sealed partial class CountingBackend
{
    public void GemmGroupedActivate(Matrix a, Matrix b, Indices offsets, Activation kind, Matrix c, Matrix y)
    {
        using var call = Begin(Bytes(a) + Bytes(b) + Bytes(offsets), Bytes(c) + Bytes(y), y);
        inner.GemmGroupedActivate(a, b, offsets, kind, c, y);
    }

    public void GemmGroupedActivateBackward(
        Activation kind, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db, bool accumulateB)
    {
        var read = Bytes(x) + Bytes(a) + Bytes(b) + 2 * Bytes(dc) + 2 * Bytes(offsets) + (accumulateB ? Bytes(db) : 0);
        using var call = Begin(read, Bytes(dx) + Bytes(db), db);
        inner.GemmGroupedActivateBackward(kind, x, a, b, dc, offsets, dx, db, accumulateB);
    }

    public void SumSquares(Matrix x, double factor, int sequence, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.SumSquares(x, factor, sequence, y);
    }

    public void SumSquaresBackward(Matrix x, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(dy), dx, accumulate);
        inner.SumSquaresBackward(x, factor, dy, dx, accumulate);
    }

    public void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y)
    {
        using var call = Begin(Bytes(y) + Bytes(experts) + Bytes(rows), y);
        inner.ChosenGates(x, experts, rows, count, y);
    }

    public void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(dy) + Bytes(experts) + Bytes(rows), dx, accumulate);
        inner.ChosenGatesBackward(experts, rows, count, dy, dx, accumulate);
    }

    public void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y)
    {
        using var call = Begin(Bytes(x) + Bytes(gates) + Bytes(plan.ChoiceOfRow) + Bytes(plan.RowOfChoice), y);
        inner.Combine(x, gates, plan, y);
    }

    public void CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates)
    {
        var read = Bytes(x) + Bytes(gates) + Bytes(plan.TokenOfRow) + Bytes(plan.ChoiceOfRow) + Bytes(plan.RowOfChoice) + Bytes(dy);
        var added = (accumulateX ? Bytes(dx) : 0) + (accumulateGates ? Bytes(dGates) : 0);
        using var call = Begin(read + added, Bytes(dx) + Bytes(dGates), dGates);
        inner.CombineBackward(x, gates, plan, dy, dx, accumulateX, dGates, accumulateGates);
    }

    public void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y)
    {
        using var call = Begin(Bytes(x) + 2 * Bytes(counts), y);
        inner.BalanceLoss(x, shares, counts, groups, factor, sequence, y);
    }

    public void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(2 * Bytes(counts) + Bytes(dy), dx, accumulate);
        inner.BalanceLossBackward(shares, counts, groups, factor, dy, dx, accumulate);
    }
}
