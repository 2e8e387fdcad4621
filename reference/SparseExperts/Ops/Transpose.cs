using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = Xᵀ, for matrices with few columns: a product with the unit matrix, exact because every other term is 0.</summary>
    /// <remarks>dX = dYᵀ.</remarks>
    public static Tensor Transpose(this Tape tape, Tensor x)
    {
        var identity = tape.Constants.Unit(x.Columns);
        return tape.Apply(nameof(Transpose), x.Columns, x.Rows, [x],
            y => tape.Backend.Gemm(identity, false, x.Value, true, y.Value, false),
            y => tape.Backend.Gemm(y.Gradient, true, identity, false, x.GradientTarget(out var add), add));
    }

    /// <summary>The same numbers under another shape; the gradient likewise. Rows stay tokens where each is cut into equally many.</summary>
    public static Tensor Reshape(this Tape tape, Tensor x, int rows, int columns) =>
        tape.Reshape(x, rows, columns, x.Rows > 0 && rows % x.Rows == 0 ? x.Sequence * (rows / x.Rows) : 0);

    internal static Tensor Reshape(this Tape tape, Tensor x, int rows, int columns, int sequence) =>
        tape.Apply(nameof(Reshape), rows, columns, (sequence, sequence > 0 ? x.Parts : 1), [x],
            y => tape.Backend.Copy(x.Value.Reshape(rows, columns), y.Value),
            y => tape.Pass(y.Gradient.Reshape(x.Rows, x.Columns), x));
}
