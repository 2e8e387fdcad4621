using System.Numerics;

namespace SparseExperts.Cuda;

/// <summary>What a router and its losses compute around the experts' products, a kernel or two an op.</summary>
public sealed partial class CudaBackend
{
    /// <summary>Threads of balance_loss's only block, and experts that balance_loss_at_once has columns for, as balance.cu has them.</summary>
    const int BalanceThreads = 256, MostExpertsAtOnce = 32;

    public void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y)
    {
        Check.ChosenGates(this, "ChosenGates", experts, rows, count, y, x);
        Elements("chosen_gates", [x, y], y.Rows, y.Columns, x.Columns, Looked("ChosenGates", experts, x.Columns), Kept("ChosenGates", rows, count), count);
    }

    public void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate)
    {
        const string op = "ChosenGatesBackward";
        Check.ChosenGates(this, op, experts, rows, count, dy, dx);
        Elements("chosen_gates_backward", [dy, dx], dx.Rows, dx.Columns, dy.Columns, Looked(op, experts, dx.Columns), Kept(op, rows, count), count, accumulate);
    }

    DevicePointer Kept(string op, Indices? rows, int count) => rows is { } places ? Looked(op, places, count) : default;

    public void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y)
    {
        Check.Combine(this, "Combine", x, gates, plan, y);
        Elements("combine", [x, gates, y], y.Rows, y.Columns, gates.Columns, x.Rows,
            Looked("Combine", plan.RowOfChoice, x.Rows), Looked("Combine", plan.ChoiceOfRow, (int)gates.Count));
    }

    public void CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates)
    {
        const string op = "CombineBackward";
        Check.CombineBackward(this, x, gates, plan, dy, dx, dGates);
        var row = Looked(op, plan.RowOfChoice, x.Rows);
        var choice = Looked(op, plan.ChoiceOfRow, (int)gates.Count);
        EachRow("combine_backward", [x, gates, dy, dx, dGates], x.Rows + (int)gates.Count, x.Columns, x.Rows, gates.Columns,
            Looked(op, plan.TokenOfRow, dy.Rows), choice, row, accumulateX, accumulateGates);
    }

    public void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y)
    {
        Check.BalanceLoss(this, "BalanceLoss", x, shares, counts, groups, y);
        Check.Sequence("BalanceLoss", sequence);
        var named = Looked("BalanceLoss", counts, shares.Rows);
        var of = new TokenGroups(x.Rows, groups, sequence);
        if (groups == 1 && x.Columns <= MostExpertsAtOnce)
        {
            var tree = new SumTree(of.Size, of.SequenceOfRows);
            var width = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, x.Columns));
            Launch("balance_loss_at_once", new(1, 1, 1, width, Math.Clamp(tree.Leaves, 1, MostSumThreads / width)),
            [
                Pointer(Starts(tree)), Pointer(Joins(tree)), tree.Leaves, x.Columns, Pointer(x), x.Stride, Pointer(shares), shares.Stride, shares.Rows,
                named, (float)factor, Pointer(y),
            ]);
            return;
        }
        SumTree ofExperts = SumTree.OfProduct(x.Columns), ofGroups = new(groups, of.SequenceOfGroups);
        Matrix sums = this.Rent(groups, x.Columns), losses = this.Rent(groups, 1);
        SumGroups(x, new(of.Size, of.SequenceOfRows), groups, sums, accumulate: false);
        Launch("balance_loss", new(1, 1, 1, BalanceThreads),
        [
            Pointer(sums), sums.Stride, groups, x.Columns, Pointer(shares), shares.Stride, shares.Rows, named, (float)factor,
            Pointer(Starts(ofExperts)), Pointer(Joins(ofExperts)), ofExperts.Leaves, Pointer(Starts(ofGroups)), Pointer(Joins(ofGroups)), ofGroups.Leaves,
            Pointer(losses), Pointer(y),
        ]);
        Return(sums.Storage);
        Return(losses.Storage);
    }

    public void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.BalanceLoss(this, "BalanceLossBackward", dx, shares, counts, groups, dy);
        Elements("balance_loss_backward", [dx], dx.Rows, dx.Columns, Pointer(shares), shares.Stride, shares.Rows,
            Looked("BalanceLossBackward", counts, shares.Rows), dx.Rows / groups, (float)factor, Pointer(dy), accumulate);
    }

    /// <summary>Where indices lie that were looked at: each is −1 or below the limit.</summary>
    DevicePointer Looked(string op, Indices indices, int limit)
    {
        Look(new(op, limit, -1), indices);
        return Pointer(indices);
    }
}
