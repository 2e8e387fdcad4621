namespace SparseExperts.Scalar;

/// <summary>Ops around experts: indices are looked at, and then they are what defines them.</summary>
public sealed partial class ScalarBackend<T>
{
    public void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y)
    {
        Check.ChosenGates(this, "ChosenGates", experts, rows, count, y, x);
        _faults.Look("ChosenGates", Integers(experts), x.Columns, -1);
        if (rows is { } places) _faults.Look("ChosenGates", Integers(places), count, -1);
        MixtureOps.ChosenGates(this, x, experts, rows, count, y);
    }

    public void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.ChosenGates(this, "ChosenGatesBackward", experts, rows, count, dy, dx);
        _faults.Look("ChosenGatesBackward", Integers(experts), dx.Columns, -1);
        if (rows is { } places) _faults.Look("ChosenGatesBackward", Integers(places), count, -1);
        MixtureOps.ChosenGatesBackward(this, experts, rows, count, dy, dx, accumulate);
    }

    public void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y)
    {
        Check.Combine(this, "Combine", x, gates, plan, y);
        _faults.Look("Combine", Integers(plan.RowOfChoice), x.Rows, -1);
        _faults.Look("Combine", Integers(plan.ChoiceOfRow), (int)gates.Count, -1);
        MixtureOps.Combine(this, x, gates, plan, y);
    }

    public void CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates)
    {
        Check.CombineBackward(this, x, gates, plan, dy, dx, dGates);
        _faults.Look("CombineBackward", Integers(plan.RowOfChoice), x.Rows, -1);
        _faults.Look("CombineBackward", Integers(plan.ChoiceOfRow), (int)gates.Count, -1);
        _faults.Look("CombineBackward", Integers(plan.TokenOfRow), dy.Rows, -1);
        MixtureOps.CombineBackward(this, x, gates, plan, dy, dx, accumulateX, dGates, accumulateGates);
    }

    public void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y)
    {
        Check.BalanceLoss(this, "BalanceLoss", x, shares, counts, groups, y);
        Check.Sequence("BalanceLoss", sequence);
        _faults.Look("BalanceLoss", Integers(counts), shares.Rows, -1);
        MixtureOps.BalanceLoss(this, x, shares, counts, groups, factor, sequence, y);
    }

    public void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.BalanceLoss(this, "BalanceLossBackward", dx, shares, counts, groups, dy);
        _faults.Look("BalanceLossBackward", Integers(counts), shares.Rows, -1);
        MixtureOps.BalanceLossBackward(this, shares, counts, groups, factor, dy, dx, accumulate);
    }
}
