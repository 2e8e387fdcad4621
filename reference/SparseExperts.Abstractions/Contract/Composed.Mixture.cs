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

    void IMixture.ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y)
    {
        Check.ChosenGates(this, "ChosenGates", experts, rows, count, y, x);
        Check.ChosenIndices("ChosenGates", x.Columns, count, this.ToArray(experts), rows is { } r ? this.ToArray(r) : []);
        MixtureOps.ChosenGates(this, x, experts, rows, count, y);
    }

    void IMixture.ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.ChosenGates(this, "ChosenGatesBackward", experts, rows, count, dy, dx);
        Check.ChosenIndices("ChosenGatesBackward", dx.Columns, count, this.ToArray(experts), rows is { } r ? this.ToArray(r) : []);
        MixtureOps.ChosenGatesBackward(this, experts, rows, count, dy, dx, accumulate);
    }

    void IMixture.Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y)
    {
        Check.Combine(this, "Combine", x, gates, plan, y);
        Check.Indices(new("Combine", x.Rows, -1), this.ToArray(plan.RowOfChoice));
        Check.Indices(new("Combine", y.Rows * gates.Columns, -1), this.ToArray(plan.ChoiceOfRow));
        MixtureOps.Combine(this, x, gates, plan, y);
    }

    void IMixture.CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates)
    {
        Check.CombineBackward(this, x, gates, plan, dy, dx, dGates);
        Check.Indices(new("CombineBackward", x.Rows, -1), this.ToArray(plan.RowOfChoice));
        Check.Indices(new("CombineBackward", dy.Rows * gates.Columns, -1), this.ToArray(plan.ChoiceOfRow));
        Check.Indices(new("CombineBackward", dy.Rows, -1), this.ToArray(plan.TokenOfRow));
        MixtureOps.CombineBackward(this, x, gates, plan, dy, dx, accumulateX, dGates, accumulateGates);
    }

    void IMixture.BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y)
    {
        Check.BalanceLoss(this, "BalanceLoss", x, shares, counts, groups, y);
        Check.Sequence("BalanceLoss", sequence);
        Check.Indices(new("BalanceLoss", shares.Rows, -1), this.ToArray(counts));
        MixtureOps.BalanceLoss(this, x, shares, counts, groups, factor, sequence, y);
    }

    void IMixture.BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.BalanceLoss(this, "BalanceLossBackward", dx, shares, counts, groups, dy);
        Check.Indices(new("BalanceLossBackward", shares.Rows, -1), this.ToArray(counts));
        MixtureOps.BalanceLossBackward(this, shares, counts, groups, factor, dy, dx, accumulate);
    }
}
