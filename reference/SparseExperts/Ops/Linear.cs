using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = X·W, or X·Wᵀ when <paramref name="transpose"/>. X [T, in], W [in, out] (or [out, in]), Y [T, out].</summary>
    /// <remarks>dX = dY·Wᵀ, dW = Xᵀ·dY.</remarks>
    public static Tensor Linear(this Tape tape, Tensor x, Tensor w, bool transpose = false)
    {
        var y = tape.Result(x.Rows, transpose ? w.Rows : w.Columns, x, w);
        tape.Backend.Gemm(x.Value, false, w.Value, transpose, y.Value, false);
        tape.Record(y, () =>
        {
            if (x.RequiresGradient) tape.Backend.Gemm(y.Gradient, false, w.Value, !transpose, x.GradientTarget(out var more), more);
            if (!w.RequiresGradient) return;
            var dw = w.GradientTarget(out var add);
            if (transpose) tape.Backend.Gemm(y.Gradient, true, x.Value, false, dw, add);
            else tape.Backend.Gemm(x.Value, true, y.Gradient, false, dw, add);
        });
        return y;
    }
}
