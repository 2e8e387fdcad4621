using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>A routing plan's indices on the tape's backend: brought there, or where the backend planned.</summary>
public sealed class PlanIndices
{
    /// <param name="sequence">Tokens of a sequence.</param>
    public PlanIndices(Tape tape, PlanHandle handle, int sequence = 0)
    {
        (Plan, Sequence) = (handle, sequence);
        if (handle.OnBackend is { } made)
        {
            Rows = new(made.TokenOfRow, made.ChoiceOfRow, made.Row);
            Counted = made.Counted;
            Offsets = new(made.Offsets, () => handle.Host.Offsets);
        }
        else
        {
            var plan = handle.Host;
            Offsets = GroupOffsets.Upload(tape, plan.Offsets);
            var rows = new int[plan.Choices * plan.Tokens];
            for (var i = 0; i < rows.Length; i++) rows[i % plan.Choices * plan.Tokens + i / plan.Choices] = plan.RowOf[i];
            Rows = new(tape.UploadPlan(plan.TokenOfRow), tape.UploadPlan(plan.ChoiceOfRow), tape.UploadPlan(rows));
        }
        RowOfToken = [.. Enumerable.Range(0, handle.Choices).Select(j => PlanArrays.Of(Rows.RowOfChoice, j, handle.Tokens))];
    }

    /// <summary>The same for a plan of the host.</summary>
    public PlanIndices(Tape tape, RoutingPlan plan, int sequence = 0) : this(tape, new PlanHandle(plan), sequence) { }

    public PlanHandle Plan { get; }

    /// <summary>Where the rows of every expert lie.</summary>
    public GroupOffsets Offsets { get; }
    public int Sequence { get; }
    /// <summary>Where rows come from and go to.</summary>
    public PlanRows Rows { get; }
    public Indices TokenOfRow => Rows.TokenOfRow;
    public Indices ChoiceOfRow => Rows.ChoiceOfRow;

    /// <summary>For each choice, the row of every token or −1.</summary>
    public Indices[] RowOfToken { get; }

    /// <summary>The experts of all first choices whose scores count, then of all second ones [K·T], −1 for none; null where the host planned.</summary>
    internal Indices? Counted { get; }
}

public static partial class Op
{
    /// <summary>Tokens X [T, D] into rows of the plan, expert by expert: y_r = x_{token of r}; where tokens share a slot they add up.</summary>
    /// <remarks>dx_t = Σ_j dy_{row of (t, j)} in the order of the choices.</remarks>
    public static Tensor Dispatch(this Tape tape, Tensor x, PlanIndices indices)
    {
        var plan = indices.Plan;
        return tape.Apply(nameof(Dispatch), plan.Rows, x.Columns, (0, 1), [x],
            y =>
            {
                if (!plan.SharesSlots)
                {
                    tape.Backend.GatherRows(x.Value, indices.TokenOfRow, y.Value, false);
                    return;
                }
                tape.Backend.Fill(y.Value, 0);
                foreach (var rows in indices.RowOfToken) tape.Backend.ScatterAddRows(x.Value, rows, y.Value);
            },
            y =>
            {
                foreach (var rows in indices.RowOfToken) tape.Backend.GatherRows(y.Gradient, rows, x.GradientTarget(out var add), add);
            });
    }

    /// <summary>Rows back to tokens: y_t = Σ_j x_{row of (t, j)} in the order of the choices; a token without rows gets exactly 0.</summary>
    /// <remarks>dx_r = dy_{token of r}.</remarks>
    public static Tensor Collect(this Tape tape, Tensor x, PlanIndices indices)
    {
        var plan = indices.Plan;
        return tape.Apply(nameof(Collect), plan.Tokens, x.Columns, (indices.Sequence, 1), [x],
            y =>
            {
                for (var j = 0; j < plan.Choices; j++) tape.Backend.GatherRows(x.Value, indices.RowOfToken[j], y.Value, j > 0);
            },
            y => tape.Backend.GatherRows(y.Gradient, indices.TokenOfRow, x.GradientTarget(out var add), add));
    }

    /// <summary>Gates [T, K] of the plan's rows: a column [rows, 1]; empty slots get 0.</summary>
    /// <remarks>dgate_(t, j) = dy_{row of (t, j)}.</remarks>
    public static Tensor GateOfRows(this Tape tape, Tensor gates, PlanIndices indices) => tape.Apply(nameof(GateOfRows), indices.Plan.Rows, 1, (0, 1), [gates],
        y => tape.Backend.GatherRows(gates.Value.Reshape(gates.Rows * gates.Columns, 1), indices.ChoiceOfRow, y.Value, false),
        y =>
        {
            var target = gates.GradientSum();
            for (var j = 0; j < indices.RowOfToken.Length; j++) tape.Backend.GatherRows(y.Gradient, indices.RowOfToken[j], target.ColumnRange(j, 1), true);
        });

    /// <summary>1 for a choice with a slot, 0 for one without: a constant [T, K].</summary>
    internal static Tensor KeptChoices(this Tape tape, PlanIndices indices)
    {
        var plan = indices.Plan;
        var kept = tape.Rent(plan.Tokens, plan.Choices);
        for (var j = 0; j < plan.Choices; j++) tape.Backend.GatherRows(tape.Constants.Ones(plan.Rows), indices.RowOfToken[j], kept.ColumnRange(j, 1), false);
        return tape.Constant(kept);
    }

    /// <summary>Numbers of a token's experts: y_tj = x_{t, expert of (t, j)}; with <paramref name="drops"/> times 0 for a choice without a row.</summary>
    /// <param name="indices">Of a plan that the backend made.</param>
    /// <remarks>dx_{t, e} = Σ_j dy_tj over the choices of expert e that are kept.</remarks>
    internal static Tensor ChosenGates(this Tape tape, Tensor x, PlanIndices indices, bool drops)
    {
        var (plan, experts, rows) = (indices.Plan, indices.Counted!.Value, drops ? indices.Rows.RowOfChoice : (Indices?)null);
        return tape.Apply(nameof(ChosenGates), plan.Tokens, plan.Choices, [x],
            y => tape.Backend.ChosenGates(x.Value, experts, rows, plan.Rows, y.Value),
            y => tape.Backend.ChosenGatesBackward(experts, rows, plan.Rows, y.Gradient, x.GradientTarget(out var add), add));
    }

    /// <summary>Experts' rows times gates, summed for every token: y_t = Σ_j gate_tj·x_{row of (t, j)}.</summary>
    /// <remarks>The gradients of the ops that it is made of. Where tokens share a slot, every token takes the whole of its row.</remarks>
    public static Tensor Combine(this Tape tape, Tensor x, Tensor gates, PlanIndices indices)
    {
        var plan = indices.Plan;
        if (!plan.SharesSlots) return tape.CombineOwnRows(x, gates, indices);
        Tensor? sum = null;
        for (var j = 0; j < plan.Choices; j++)
        {
            var gate = tape.GatherElements(gates, tape.Constants.Run(j, plan.Choices, 1, plan.Tokens), plan.Tokens, 1);       // column j
            var term = tape.ScaleRows(tape.GatherRows(x, indices.RowOfToken[j]), gate);
            sum = sum is null ? term : tape.Add(sum, term);
        }
        return sum!;
    }

    static Tensor CombineOwnRows(this Tape tape, Tensor x, Tensor gates, PlanIndices indices) => tape.Apply(nameof(Combine),
        indices.Plan.Tokens, x.Columns, (indices.Sequence, 1), [x, gates],
        y => tape.Backend.Combine(x.Value, gates.Value, indices.Rows, y.Value),
        y =>
        {
            // The op's destinations must not overlap: a tensor in both places gets its second gradient afterwards. What nobody asks for is thrown away.
            var (isOne, addX, addGates) = (ReferenceEquals(x, gates), false, false);
            var dx = x.RequiresGradient ? x.GradientTarget(out addX) : tape.Rent(x.Rows, x.Columns);
            var dGates = gates.RequiresGradient && !isOne ? gates.GradientTarget(out addGates) : tape.Rent(gates.Rows, gates.Columns);
            tape.Backend.CombineBackward(x.Value, gates.Value, indices.Rows, y.Gradient, dx, addX, dGates, addGates);
            if (isOne) tape.Pass(dGates, gates);
        });
}
