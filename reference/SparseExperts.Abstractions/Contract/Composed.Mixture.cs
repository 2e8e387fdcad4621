namespace SparseExperts;

/// <summary>Default bodies of the ops around experts. Indices are looked at before anything is computed.</summary>
public partial interface IBackend
{
    void IRows.SumSquares(Matrix x, double factor, int sequence, Matrix y)
    {
        Check.SumSquares(this, "SumSquares", x, x, y);
        Check.Sequence("SumSquares", sequence);
        var sum = this.Rent(1, 1);
        GemmOuter(x, x, sum, sequence, false);
        Scale(sum, factor, y, false);
        Return(sum.Storage);
    }

    void IRows.SumSquaresBackward(Matrix x, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.SumSquares(this, "SumSquaresBackward", x, dx, dy);
        var scaled = this.Rent(1, 1);
        Scale(dy, 2 * factor, scaled, false);
        Gemm(x, false, scaled, false, dx, accumulate);
        Return(scaled.Storage);
    }

    /// <summary>What breaks a rule is thrown at once.</summary>
    private void Look(IndexRule rule, Indices indices) => Check.Indices(rule, this.ToArray(indices));

    void IMixture.ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y) =>
        MixtureOps.ChosenGates(this, Look, x, experts, rows, count, y);

    void IMixture.ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate) =>
        MixtureOps.ChosenGatesBackward(this, Look, experts, rows, count, dy, dx, accumulate);

    void IMixture.Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y) => MixtureOps.Combine(this, Look, x, gates, plan, y);

    void IMixture.CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates) =>
        MixtureOps.CombineBackward(this, Look, x, gates, plan, dy, dx, accumulateX, dGates, accumulateGates);

    void IMixture.BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y) =>
        MixtureOps.BalanceLoss(this, Look, x, shares, counts, groups, factor, sequence, y);

    void IMixture.BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate) =>
        MixtureOps.BalanceLossBackward(this, Look, shares, counts, groups, factor, dy, dx, accumulate);
}
