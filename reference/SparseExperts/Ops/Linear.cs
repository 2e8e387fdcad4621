using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = X·W, or X·Wᵀ when <paramref name="transpose"/>. X [T, in], W [in, out] (or [out, in]), Y [T, out].</summary>
    /// <remarks>dX = dY·Wᵀ, dW = Σ_t x_tᵀ·dy_t.</remarks>
    public static Tensor Linear(this Tape tape, Tensor x, Tensor w, bool transpose = false) => tape.Apply(nameof(Linear),
        x.Rows, transpose ? w.Rows : w.Columns, [x, w],
        y => tape.Backend.Gemm(x.Value, false, w.Value, transpose, y.Value, false),
        y =>
        {
            if (x.RequiresGradient) tape.Backend.Gemm(y.Gradient, false, w.Value, !transpose, x.GradientTarget(out var more), more);
            if (!w.RequiresGradient) return;
            var (left, right) = transpose ? (y.Gradient, x.Value) : (x.Value, y.Gradient);
            tape.SumOverTokens(w, x.Sequence, (dw, add) => tape.Backend.GemmOuter(left, right, dw, x.Sequence, add));
        });
}
