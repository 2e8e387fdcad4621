namespace SparseExperts.Scalar;

/// <summary>Ops around experts are what defines them; indices are looked at as everywhere here.</summary>
public sealed partial class ScalarBackend<T>
{
    void Look(IndexRule rule, Indices indices) => _faults.Look(rule.Op, Integers(indices), rule.Limit, rule.None);

    public void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y) =>
        MixtureOps.ChosenGates(this, Look, x, experts, rows, count, y);

    public void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate) =>
        MixtureOps.ChosenGatesBackward(this, Look, experts, rows, count, dy, dx, accumulate);

    public void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y) => MixtureOps.Combine(this, Look, x, gates, plan, y);

    public void CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates) =>
        MixtureOps.CombineBackward(this, Look, x, gates, plan, dy, dx, accumulateX, dGates, accumulateGates);

    public void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y) =>
        MixtureOps.BalanceLoss(this, Look, x, shares, counts, groups, factor, sequence, y);

    public void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate) =>
        MixtureOps.BalanceLossBackward(this, Look, shares, counts, groups, factor, dy, dx, accumulate);
}
