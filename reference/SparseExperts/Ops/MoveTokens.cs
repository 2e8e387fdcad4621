using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y_r = x_{ids r} where no row of X is read twice and sequences may have another length. An id of −1 reads 0.</summary>
    /// <param name="inverse">For every row of X the r that read it, or −1.</param>
    /// <param name="sequence">Rows of a sequence of Y.</param>
    /// <remarks>dx_i = dy_{inverse i}.</remarks>
    public static Tensor MoveTokens(this Tape tape, Tensor x, Indices ids, Indices inverse, int sequence)
    {
        var y = tape.Result(ids.Count, x.Columns, sequence, x);
        tape.Backend.GatherRows(x.Value, ids, y.Value, false);
        tape.Record(y, () => tape.Backend.GatherRows(y.Gradient, inverse, x.GradientTarget(out var add), add));
        return y;
    }
}
