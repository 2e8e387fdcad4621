namespace SparseExperts;

/// <summary>
/// Where the rows of a plan come from and go to: T tokens with K choices each, R rows. −1 means none; any other index outside of its range counts as −1 and
/// is a fault (<see cref="IBackend.TakeFault"/>).
/// </summary>
/// <param name="TokenOfRow">The token of every row [R].</param>
/// <param name="ChoiceOfRow">The choice of every row as t·K + j [R].</param>
/// <param name="RowOfChoice">The row of every choice, all first choices and then all second ones: element j·T + t [K·T].</param>
public readonly record struct PlanRows(Indices TokenOfRow, Indices ChoiceOfRow, Indices RowOfChoice);

/// <summary>
/// Groups of equal numbers of tokens that lie one below the other, and how sums over their rows and over the groups are taken (<see cref="SumTree"/>):
/// groups of whole sequences are cut where those begin, a smaller group is a sequence of its own.
/// </summary>
/// <param name="Rows">Rows of all groups together.</param>
/// <param name="Sequence">Rows of a sequence; 0 where rows are no tokens.</param>
public readonly record struct TokenGroups(int Rows, int Groups, int Sequence)
{
    /// <summary>Rows of a group.</summary>
    public int Size => Groups == 0 ? 0 : Rows / Groups;

    bool AreWhole => Sequence > 0 && Size % Sequence == 0;

    /// <summary>Rows of a sequence within a group.</summary>
    public int SequenceOfRows => AreWhole ? Sequence : Sequence > 0 ? Size : 0;

    /// <summary>Groups of a sequence.</summary>
    public int SequenceOfGroups => Sequence == 0 ? 0 : AreWhole ? 1 : Math.Max(1, Sequence / Size);
}

/// <summary>
/// What a router and its losses compute around the experts' products, each op in the place of several: a device gets one kernel where it would get one an
/// operation. All have default bodies, which define them.
/// </summary>
public interface IMixture
{
    /// <summary>
    /// y_tj = x_{t, e_tj}, the number of a token's choice j; with <paramref name="rows"/> times 1 for a choice that has a row and times 0 for one without.
    /// X is [T, E], Y [T, K]; <paramref name="experts"/> and <paramref name="rows"/> [K·T] hold all first choices and then all second ones.
    /// </summary>
    /// <param name="count">Rows that there are.</param>
    void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y);

    /// <summary>dx_{t, e_tj} (+)= dy_tj, times 1 or 0 as in the forward op, in ascending j; 0 elsewhere.</summary>
    void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate);

    /// <summary>
    /// y_t = Σ_j g_tj·x_{row of (t, j)} in the order of the choices, each product rounded; a choice without a row adds 0. X is [R, D], gates are [T, K],
    /// Y [T, D].
    /// </summary>
    void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y);

    /// <summary>
    /// dx_r (+)= g_r·dy_{token of r} (accumulating: fused), g_r the gate of the row's choice; dg_tj (+)= ⟨dy, x⟩ of the row of (t, j), in 16 lanes.
    /// </summary>
    void CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates);

    /// <summary>
    /// y = Σ_g Σ_j w_gj·(factor·Σ_{r in g} x_rj) over G groups of equal numbers of rows: shares of requests times mean scores (Fedus et al. 2022, eq. 4).
    /// w_gj is the entry of the column <paramref name="shares"/> that element g·E + j of <paramref name="counts"/> names, 0 where that is −1. Each product is
    /// rounded; a group's experts are added as along k of a product, groups as <see cref="TokenGroups"/> says. Y is 1×1.
    /// </summary>
    void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y);

    /// <summary>dx_rj (+)= (dy·w_gj)·factor, g the group of row r.</summary>
    void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate);
}
