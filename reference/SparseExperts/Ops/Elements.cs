using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Elements of X in any order under any shape: y_i = x_{ids i} with row-major numbers; −1 reads 0.</summary>
    /// <remarks>dx_{ids i} += dy_i in ascending i.</remarks>
    public static Tensor GatherElements(this Tape tape, Tensor x, ReadOnlySpan<int> ids, int rows, int columns)
    {
        var column = tape.GatherRows(tape.Reshape(x, x.Rows * x.Columns, 1), tape.Upload(ids));
        return columns == 1 ? column : tape.Reshape(column, rows, columns);
    }

    /// <summary>Rows start … start + count − 1.</summary>
    public static Tensor RowRange(this Tape tape, Tensor x, int start, int count)
    {
        var ids = new int[count];
        for (var i = 0; i < count; i++) ids[i] = start + i;
        return tape.GatherRows(x, tape.Upload(ids));
    }

    /// <summary>y_r = Σ_j x_rj; Y is [rows, 1].</summary>
    /// <remarks>dx_rj = dy_r.</remarks>
    public static Tensor SumRows(this Tape tape, Tensor x) => tape.Linear(x, tape.Constant(tape.Ones(x.Columns)));

    /// <summary>Every row is the row X [1, columns].</summary>
    /// <remarks>dx_j = Σ_r dy_rj.</remarks>
    public static Tensor RepeatRow(this Tape tape, Tensor x, int rows) => tape.Linear(tape.Constant(tape.Ones(rows)), x);

    /// <summary>Every column is the column X [rows, 1].</summary>
    /// <remarks>dx_r = Σ_j dy_rj.</remarks>
    public static Tensor RepeatColumn(this Tape tape, Tensor x, int columns) => tape.Linear(x, tape.Constant(tape.Ones(columns).Reshape(1, columns)));

    /// <summary>C = A − B.</summary>
    /// <remarks>dA = dC, dB = −dC.</remarks>
    public static Tensor Subtract(this Tape tape, Tensor a, Tensor b) => tape.Add(a, tape.Scale(b, -1));

    /// <summary>Y = X + constant, element by element.</summary>
    /// <remarks>dX = dY.</remarks>
    public static Tensor Shift(this Tape tape, Tensor x, ReadOnlySpan<float> constant) => tape.Add(x, tape.Constant(x.Rows, x.Columns, constant));

    /// <summary>Y = X + constant.</summary>
    /// <remarks>dX = dY.</remarks>
    public static Tensor Shift(this Tape tape, Tensor x, double constant)
    {
        var all = tape.Rent(x.Rows, x.Columns);
        tape.Backend.Fill(all, constant);
        return tape.Add(x, tape.Constant(all));
    }

    /// <summary>y = Σ_i w_i·x_i over all elements, w constant; Y is 1×1.</summary>
    /// <remarks>dx_i = w_i·dy.</remarks>
    public static Tensor WeightedSum(this Tape tape, Tensor x, ReadOnlySpan<double> weights)
    {
        var column = tape.Rent(weights.Length, 1);
        tape.Backend.Write(column, weights);
        return tape.Linear(tape.Reshape(x, 1, x.Rows * x.Columns), tape.Constant(column));
    }

    /// <summary>A 1×1 constant.</summary>
    public static Tensor Scalar(this Tape tape, double value)
    {
        var one = tape.Rent(1, 1);
        tape.Backend.Fill(one, value);
        return tape.Constant(one);
    }
}
