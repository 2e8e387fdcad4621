using System.Runtime.InteropServices;
using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Elements of X in any order under any shape: y_i = x_{ids i} with row-major numbers; −1 reads 0.</summary>
    /// <remarks>dx_{ids i} += dy_i in ascending i.</remarks>
    /// <param name="sequence">Rows of a sequence of Y; by default those of X where Y has as many rows.</param>
    public static Tensor GatherElements(this Tape tape, Tensor x, ReadOnlySpan<int> ids, int rows, int columns, int? sequence = null) =>
        tape.GatherElements(x, tape.UploadPlan(ids), rows, columns, sequence);

    /// <summary>The same with indices that the backend has.</summary>
    public static Tensor GatherElements(this Tape tape, Tensor x, Indices ids, int rows, int columns, int? sequence = null)
    {
        var column = tape.GatherRows(tape.Reshape(x, x.Rows * x.Columns, 1), ids);
        return tape.Reshape(column, rows, columns, sequence ?? (rows == x.Rows ? x.Sequence : 0));
    }

    /// <summary>Rows start … start + count − 1.</summary>
    /// <remarks>Those rows of dX += dY.</remarks>
    public static Tensor RowRange(this Tape tape, Tensor x, int start, int count) => tape.Apply(nameof(RowRange), count, x.Columns, [x],
        y => tape.Backend.Copy(x.Value.RowRange(start, count), y.Value),
        y =>
        {
            var target = x.GradientSum().RowRange(start, count);
            tape.Backend.Add(y.Gradient, target, target);
        });

    /// <summary>y_r = Σ_j x_rj; Y is [rows, 1].</summary>
    /// <remarks>dx_rj = dy_r.</remarks>
    public static Tensor SumRows(this Tape tape, Tensor x) => tape.Linear(x, tape.Constant(tape.Constants.Ones(x.Columns)));

    /// <summary>Every row is the row X [1, columns], as many as <paramref name="like"/> has.</summary>
    /// <remarks>dx_j = Σ_r dy_rj.</remarks>
    public static Tensor RepeatRow(this Tape tape, Tensor x, Tensor like) => tape.RepeatRow(x, like.Rows, like.Sequence);

    /// <summary>Every row is the row X [1, columns].</summary>
    /// <param name="sequence">Rows of a sequence, where rows are tokens.</param>
    /// <remarks>dx_j = Σ_r dy_rj.</remarks>
    public static Tensor RepeatRow(this Tape tape, Tensor x, int rows, int sequence) => tape.Apply(nameof(RepeatRow), rows, x.Columns, (sequence, 1), [x],
        y => tape.Backend.Gemm(tape.Constants.Ones(rows), false, x.Value, false, y.Value, false),
        y => tape.SumOverTokens(x, sequence, (dx, add) => tape.Backend.SumColumns(y.Gradient, dx, sequence, add)));

    /// <summary>Every column is the column X [rows, 1].</summary>
    /// <remarks>dx_r = Σ_j dy_rj.</remarks>
    public static Tensor RepeatColumn(this Tape tape, Tensor x, int columns) => tape.Linear(x, tape.Constant(tape.Constants.Ones(columns).Reshape(1, columns)));

    /// <summary>C = A − B.</summary>
    /// <remarks>dA = dC, dB = −dC.</remarks>
    public static Tensor Subtract(this Tape tape, Tensor a, Tensor b) => tape.Add(a, tape.Scale(b, -1));

    /// <summary>Y = X + constant, element by element.</summary>
    /// <remarks>dX = dY.</remarks>
    public static Tensor Shift(this Tape tape, Tensor x, ReadOnlySpan<float> constant) => tape.Add(x, tape.PlanConstant(x.Rows, x.Columns, constant));

    /// <summary>Y = X + constant.</summary>
    /// <remarks>dX = dY.</remarks>
    public static Tensor Shift(this Tape tape, Tensor x, double constant)
    {
        var all = tape.Rent(x.Rows, x.Columns);
        tape.Backend.Fill(all, constant);
        return tape.Add(x, tape.Constant(all));
    }

    /// <summary>0 where the column X is positive, 1 elsewhere: a constant.</summary>
    internal static Tensor OneUnlessPositive(this Tape tape, Tensor x)
    {
        var (ones, result) = (tape.Constants.Ones(x.Rows), tape.Rent(x.Rows, 1));
        tape.Backend.ActivateBackward(Activation.Relu, x.Value, ones, result, false);
        tape.Backend.Scale(result, -1, result, false);
        tape.Backend.Add(ones, result, result);
        return tape.Constant(result);
    }

    /// <summary>A constant column.</summary>
    public static Tensor Column(this Tape tape, ReadOnlySpan<double> values) => tape.Numbers(values.Length, 1, values);

    /// <summary>Constants from the host; numbers that are all alike need not travel.</summary>
    internal static Tensor Numbers(this Tape tape, int rows, int columns, ReadOnlySpan<double> values)
    {
        var matrix = tape.Rent(rows, columns);
        var bits = MemoryMarshal.Cast<double, long>(values);
        if (bits.Length > 0 && !bits.ContainsAnyExcept(bits[0])) tape.Backend.Fill(matrix, values[0]);
        else
        {
            using var plan = tape.During(Activity.Plan);
            tape.Backend.Write(matrix, values);
        }
        return tape.Constant(matrix);
    }

    /// <summary>A 1×1 constant.</summary>
    public static Tensor Scalar(this Tape tape, double value)
    {
        var one = tape.Rent(1, 1);
        tape.Backend.Fill(one, value);
        return tape.Constant(one);
    }
}
