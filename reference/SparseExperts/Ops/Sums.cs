using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y = factor·Σ_r x_r over a column X [rows, 1]; Y is 1×1.</summary>
    /// <remarks>dx_r = factor·dy.</remarks>
    public static Tensor SumColumn(this Tape tape, Tensor x, double factor)
    {
        Matrix sum = tape.Rent(1, x.Columns);
        var y = tape.Result(1, x.Columns, x);
        tape.Backend.SumColumns(x.Value, sum, false);
        tape.Backend.Scale(sum, factor, y.Value, false);
        tape.Record(y, () =>
        {
            var scaled = tape.Rent(1, x.Columns);
            tape.Backend.Scale(y.Gradient, factor, scaled, false);
            tape.Backend.Gemm(tape.Ones(x.Rows), false, scaled, false, x.GradientTarget(out var add), add);
        });
        return y;
    }

    /// <summary>y = factor·Σ_r x_r² over a column X [rows, 1]; Y is 1×1.</summary>
    /// <remarks>dx_r = 2·factor·dy·x_r.</remarks>
    public static Tensor SumSquares(this Tape tape, Tensor x, double factor)
    {
        var sum = tape.Rent(1, 1);
        var y = tape.Result(1, 1, x);
        tape.Backend.Gemm(x.Value, true, x.Value, false, sum, false);
        tape.Backend.Scale(sum, factor, y.Value, false);
        tape.Record(y, () =>
        {
            var scaled = tape.Rent(1, 1);
            tape.Backend.Scale(y.Gradient, 2 * factor, scaled, false);
            tape.Backend.Gemm(x.Value, false, scaled, false, x.GradientTarget(out var add), add);
        });
        return y;
    }
}
