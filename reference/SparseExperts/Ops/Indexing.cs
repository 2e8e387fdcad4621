using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y_r = x_{ids r}: an embedding when X is a table. An id of −1 reads 0.</summary>
    /// <remarks>dx_{ids r} += dy_r in ascending r.</remarks>
    public static Tensor GatherRows(this Tape tape, Tensor x, Indices ids)
    {
        var y = tape.Result(ids.Count, x.Columns, x);
        tape.Backend.GatherRows(x.Value, ids, y.Value, false);
        tape.Record(y, () => tape.Backend.ScatterAddRows(y.Gradient, ids, x.GradientSum()));
        return y;
    }

    /// <summary>
    /// y_r = x_{ids r} where no row of X is read twice; <paramref name="inverse"/> names for every row of X the r that read it, or −1.
    /// Dispatch and combine of a routing plan are of this kind.
    /// </summary>
    /// <remarks>dx_i = dy_{inverse i}: a gather too, so its rows are independent.</remarks>
    public static Tensor Permute(this Tape tape, Tensor x, Indices ids, Indices inverse)
    {
        var y = tape.Result(ids.Count, x.Columns, x);
        tape.Backend.GatherRows(x.Value, ids, y.Value, false);
        tape.Record(y, () => tape.Backend.GatherRows(y.Gradient, inverse, x.GradientTarget(out var add), add));
        return y;
    }

    /// <summary>y_r = x_{r, ids r}; Y is [rows, 1].</summary>
    /// <remarks>dx_{r, ids r} += dy_r.</remarks>
    public static Tensor GatherColumns(this Tape tape, Tensor x, Indices ids)
    {
        var y = tape.Result(x.Rows, 1, x);
        tape.Backend.GatherColumns(x.Value, ids, y.Value);
        tape.Record(y, () => tape.Backend.ScatterAddColumns(y.Gradient, ids, x.GradientSum()));
        return y;
    }
}
