using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = X·W, or X·Wᵀ when <paramref name="transpose"/>. X [T, in], W [in, out] (or [out, in]), Y [T, out].</summary>
    /// <remarks>dX = dY·Wᵀ, dW = Σ_t x_tᵀ·dy_t.</remarks>
    public static Tensor Linear(this Tape tape, Tensor x, Tensor w, bool transpose = false) => tape.Apply(nameof(Linear),
        x.Rows, transpose ? w.Rows : w.Columns, [x, w],
        y => tape.Backend.Multiply(x.Value, w, transpose, y.Value),
        y => tape.BackwardOfProduct(x, w, transpose, y.Gradient));

    /// <summary>Gradients of Y = X·op(W), in one op where nobody else has tokens.</summary>
    static void BackwardOfProduct(this Tape tape, Tensor x, Tensor w, bool transpose, Matrix dy)
    {
        if (x.RequiresGradient && !ReferenceEquals(x, w) && tape.SumsAtOnce(x.Sequence, w))
        {
            Matrix dx = x.GradientTarget(out var addX), dw = w.GradientTarget(out var addW);
            tape.Backend.LinearBackward(x.Value, w.Value, transpose, dy, x.Sequence, dx, addX, dw, addW);
            return;
        }
        if (x.RequiresGradient) tape.Backend.Gemm(dy, false, w.Value, !transpose, x.GradientTarget(out var more), more);
        if (!w.RequiresGradient) return;
        var (left, right) = transpose ? (dy, x.Value) : (x.Value, dy);
        tape.SumOverTokens(w, x.Sequence, (to, add) => tape.Backend.GemmOuter(left, right, to, x.Sequence, add));
    }
}
