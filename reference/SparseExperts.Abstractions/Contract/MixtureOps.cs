namespace SparseExperts;

/// <summary>What a backend does with indices that an op is given: it keeps the first that breaks the rule, or throws.</summary>
public delegate void IndexLook(IndexRule rule, Indices indices);

/// <summary>
/// The ops of <see cref="IMixture"/>, made of older ones: what defines them. Arguments are checked, indices are looked at in the backend's way, and then it is
/// computed.
/// </summary>
public static class MixtureOps
{
    /// <summary>See <see cref="IMixture.ChosenGates"/>.</summary>
    public static void ChosenGates(IBackend backend, IndexLook look, Matrix x, Indices experts, Indices? rows, int count, Matrix y)
    {
        Check.ChosenGates(backend, "ChosenGates", experts, rows, count, y, x);
        LookAtChoices(look, "ChosenGates", experts, x.Columns, rows, count);
        if (rows is not { } places)
        {
            Gather(y);
            return;
        }
        Matrix chosen = backend.Rent(y.Rows, y.Columns), kept = Kept(backend, places, count, y);
        Gather(chosen);
        backend.Multiply(chosen, kept, y, false);
        foreach (var scratch in (Matrix[])[chosen, kept]) backend.Return(scratch.Storage);

        void Gather(Matrix to)
        {
            for (var j = 0; j < y.Columns; j++) backend.GatherColumns(x, Of(experts, j, y.Rows), to.ColumnRange(j, 1));
        }
    }

    /// <summary>See <see cref="IMixture.ChosenGatesBackward"/>.</summary>
    public static void ChosenGatesBackward(
        IBackend backend, IndexLook look, Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.ChosenGates(backend, "ChosenGatesBackward", experts, rows, count, dy, dx);
        LookAtChoices(look, "ChosenGatesBackward", experts, dx.Columns, rows, count);
        if (!accumulate) backend.Fill(dx, 0);
        if (rows is not { } places)
        {
            Scatter(dy);
            return;
        }
        Matrix slopes = backend.Rent(dy.Rows, dy.Columns), kept = Kept(backend, places, count, dy);
        backend.Multiply(dy, kept, slopes, false);
        Scatter(slopes);
        foreach (var scratch in (Matrix[])[slopes, kept]) backend.Return(scratch.Storage);

        void Scatter(Matrix from)
        {
            for (var j = 0; j < dy.Columns; j++) backend.ScatterAddColumns(from.ColumnRange(j, 1), Of(experts, j, dy.Rows), dx);
        }
    }

    static void LookAtChoices(IndexLook look, string op, Indices experts, int columns, Indices? rows, int count)
    {
        look(new(op, columns, -1), experts);
        if (rows is { } places) look(new(op, count, -1), places);
    }

    /// <summary>1 for a choice with a row, 0 for one without.</summary>
    static Matrix Kept(IBackend backend, Indices rows, int count, Matrix like)
    {
        Matrix ones = backend.Rent(count, 1), kept = backend.Rent(like.Rows, like.Columns);
        backend.Fill(ones, 1);
        for (var j = 0; j < like.Columns; j++) backend.GatherRows(ones, Of(rows, j, like.Rows), kept.ColumnRange(j, 1), false);
        backend.Return(ones.Storage);
        return kept;
    }

    /// <summary>See <see cref="IMixture.Combine"/>.</summary>
    public static void Combine(IBackend backend, IndexLook look, Matrix x, Matrix gates, in PlanRows plan, Matrix y)
    {
        Check.Combine(backend, "Combine", x, gates, plan, y);
        LookAtPlan(look, "Combine", x, gates, plan);
        Matrix gateOfRow = GateOfRow(backend, x.Rows, gates, plan), scaled = backend.Rent(x.Rows, x.Columns);
        backend.ScaleRows(x, gateOfRow, scaled, false);
        for (var j = 0; j < gates.Columns; j++) backend.GatherRows(scaled, Of(plan.RowOfChoice, j, y.Rows), y, j > 0);
        if (gates.Columns == 0) backend.Fill(y, 0);
        foreach (var scratch in (Matrix[])[gateOfRow, scaled]) backend.Return(scratch.Storage);
    }

    /// <summary>See <see cref="IMixture.CombineBackward"/>.</summary>
    public static void CombineBackward(
        IBackend backend, IndexLook look, Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates)
    {
        Check.CombineBackward(backend, x, gates, plan, dy, dx, dGates);
        LookAtPlan(look, "CombineBackward", x, gates, plan);
        look(new("CombineBackward", dy.Rows, -1), plan.TokenOfRow);
        Matrix gateOfRow = GateOfRow(backend, x.Rows, gates, plan), slopes = backend.Rent(x.Rows, x.Columns), dots = backend.Rent(x.Rows, 1);
        backend.GatherRows(dy, plan.TokenOfRow, slopes, false);
        backend.ScaleRows(slopes, gateOfRow, dx, accumulateX);
        backend.RowDots(slopes, x, dots, false);
        if (!accumulateGates) backend.Fill(dGates, 0);
        for (var j = 0; j < gates.Columns; j++) backend.GatherRows(dots, Of(plan.RowOfChoice, j, dy.Rows), dGates.ColumnRange(j, 1), true);
        foreach (var scratch in (Matrix[])[gateOfRow, slopes, dots]) backend.Return(scratch.Storage);
    }

    static void LookAtPlan(IndexLook look, string op, Matrix x, Matrix gates, in PlanRows plan)
    {
        look(new(op, x.Rows, -1), plan.RowOfChoice);
        look(new(op, (int)gates.Count, -1), plan.ChoiceOfRow);
    }

    /// <summary>The gate of every row's choice [R, 1].</summary>
    static Matrix GateOfRow(IBackend backend, int rows, Matrix gates, in PlanRows plan)
    {
        Matrix gateOfRow = backend.Rent(rows, 1), column = gates;
        if (!gates.IsContiguous) backend.Copy(gates, column = backend.Rent(gates.Rows, gates.Columns));
        backend.GatherRows(column.Reshape(gates.Rows * gates.Columns, 1), plan.ChoiceOfRow, gateOfRow, false);
        if (!gates.IsContiguous) backend.Return(column.Storage);
        return gateOfRow;
    }

    /// <summary>See <see cref="IMixture.BalanceLoss"/>.</summary>
    public static void BalanceLoss(
        IBackend backend, IndexLook look, Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y)
    {
        Check.BalanceLoss(backend, "BalanceLoss", x, shares, counts, groups, y);
        Check.Sequence("BalanceLoss", sequence);
        look(new("BalanceLoss", shares.Rows, -1), counts);
        var (of, experts) = (new TokenGroups(x.Rows, groups, sequence), x.Columns);
        Matrix sums = backend.Rent(groups, experts), means = backend.Rent(groups, experts), weights = backend.Rent(groups, experts);
        Matrix ones = backend.Rent(experts, 1), losses = backend.Rent(groups, 1);
        for (var g = 0; g < groups; g++) backend.SumColumns(x.RowRange(g * of.Size, of.Size), sums.RowRange(g, 1), of.SequenceOfRows, false);
        backend.Scale(sums, factor, means, false);
        backend.GatherRows(shares, counts, weights.Reshape(groups * experts, 1), false);
        backend.Multiply(means, weights, sums, false);
        backend.Fill(ones, 1);
        backend.Gemm(sums, false, ones, false, losses, false);
        backend.SumColumns(losses, y, of.SequenceOfGroups, false);
        foreach (var scratch in (Matrix[])[sums, means, weights, ones, losses]) backend.Return(scratch.Storage);
    }

    /// <summary>See <see cref="IMixture.BalanceLossBackward"/>.</summary>
    public static void BalanceLossBackward(
        IBackend backend, IndexLook look, Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.BalanceLoss(backend, "BalanceLossBackward", dx, shares, counts, groups, dy);
        look(new("BalanceLossBackward", shares.Rows, -1), counts);
        var (size, experts) = (dx.Rows / groups, dx.Columns);
        Matrix ones = backend.Rent(groups * experts, 1), slopes = backend.Rent(groups, experts), weights = backend.Rent(groups, experts);
        backend.Fill(ones, 1);
        backend.Gemm(ones, false, dy, false, slopes.Reshape(groups * experts, 1), false);
        backend.GatherRows(shares, counts, weights.Reshape(groups * experts, 1), false);
        backend.Multiply(slopes, weights, weights, false);
        backend.Scale(weights, factor, slopes, false);
        var groupOf = backend.Upload([.. Enumerable.Range(0, dx.Rows).Select(r => r / size)]);
        backend.GatherRows(slopes, groupOf, dx, accumulate);
        backend.Return(groupOf.Storage);
        foreach (var scratch in (Matrix[])[ones, slopes, weights]) backend.Return(scratch.Storage);
    }

    /// <summary>One choice of every token in an array of all of them.</summary>
    static Indices Of(Indices array, int choice, int tokens) => new(array.Storage, array.Offset + (long)choice * tokens, tokens);
}
