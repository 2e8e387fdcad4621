using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y_r = x_{ids r}. An id of −1 reads 0.</summary>
    /// <remarks>dx_{ids r} += dy_r in ascending r.</remarks>
    public static Tensor GatherRows(this Tape tape, Tensor x, Indices ids) => tape.Apply(nameof(GatherRows), ids.Count, x.Columns, [x],
        y => tape.Backend.GatherRows(x.Value, ids, y.Value, false),
        y => tape.Backend.ScatterAddRows(y.Gradient, ids, x.GradientSum()));

    /// <summary>Matrices of the same tokens one below the other.</summary>
    /// <remarks>Each takes its rows of dY.</remarks>
    public static Tensor StackRows(this Tape tape, IReadOnlyList<Tensor> parts) =>
        tape.Below(nameof(StackRows), parts, (parts[0].Sequence, parts.Count));

    /// <summary>Matrices of as many rows one below the other, whatever their rows are.</summary>
    /// <remarks>Each takes its rows of dY.</remarks>
    public static Tensor JoinRows(this Tape tape, IReadOnlyList<Tensor> parts) => tape.Below(nameof(JoinRows), parts, (0, 1));

    static Tensor Below(this Tape tape, string op, IReadOnlyList<Tensor> parts, (int Sequence, int Parts) tokens)
    {
        int rows = parts[0].Rows, columns = parts[0].Columns;
        return tape.Apply(op, rows * parts.Count, columns, tokens, [.. parts],
            y =>
            {
                for (var p = 0; p < parts.Count; p++) tape.Backend.Copy(parts[p].Value, y.Value.RowRange(p * rows, rows));
            },
            y =>
            {
                for (var p = 0; p < parts.Count; p++)
                    if (parts[p].RequiresGradient) tape.Pass(y.Gradient.RowRange(p * rows, rows), parts[p]);
            });
    }

    /// <summary>y_t = table_{ids t} for every token t: an embedding. An id of −1 reads 0.</summary>
    /// <param name="sequence">Tokens of a sequence.</param>
    /// <remarks>dtable_i = Σ dy_t over the tokens t with id i.</remarks>
    public static Tensor LookUp(this Tape tape, Tensor table, Indices ids, int sequence) => tape.Apply(nameof(LookUp),
        ids.Count, table.Columns, (sequence, 1), [table],
        y => tape.Backend.Gather(table, ids, y.Value),
        y => tape.SumOverTokens(table, sequence, (sum, add) =>
        {
            if (!add) tape.Backend.Fill(sum, 0);
            tape.Backend.ScatterAddTokens(y.Gradient, ids, sum, sequence);
        }));

    /// <summary>y_r = x_{ids r} where no row of X is read twice. An id of −1 reads 0.</summary>
    /// <param name="inverse">For every row of X the r that read it, or −1.</param>
    /// <param name="sequence">Rows of a sequence of Y, where they are tokens.</param>
    /// <remarks>dx_i = dy_{inverse i}: a gather too, so its rows are independent.</remarks>
    public static Tensor Permute(this Tape tape, Tensor x, Indices ids, Indices inverse, int sequence) => tape.Apply(nameof(Permute),
        ids.Count, x.Columns, (sequence, 1), [x],
        y => tape.Backend.GatherRows(x.Value, ids, y.Value, false),
        y => tape.Backend.GatherRows(y.Gradient, inverse, x.GradientTarget(out var add), add));

    /// <summary>y_r = x_{r, ids r}; Y is [rows, 1].</summary>
    /// <remarks>dx_{r, ids r} += dy_r.</remarks>
    public static Tensor GatherColumns(this Tape tape, Tensor x, Indices ids) => tape.Apply(nameof(GatherColumns), x.Rows, 1, [x],
        y => tape.Backend.GatherColumns(x.Value, ids, y.Value),
        y => tape.Backend.ScatterAddColumns(y.Gradient, ids, x.GradientSum()));
}
