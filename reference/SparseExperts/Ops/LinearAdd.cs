using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = R + X·W: a projection that ends in a residual stream. Each output is one chain that starts from R.</summary>
    /// <remarks>dR = dY, dX = dY·Wᵀ, dW = Σ_t x_tᵀ·dy_t.</remarks>
    public static Tensor LinearAdd(this Tape tape, Tensor residual, Tensor x, Tensor w) => tape.Apply(nameof(LinearAdd), x.Rows, w.Columns, [residual, x, w],
        y =>
        {
            tape.Backend.Copy(residual.Value, y.Value);
            tape.Backend.Gemm(x.Value, false, w.Value, false, y.Value, true);
        },
        y =>
        {
            if (residual.RequiresGradient) tape.Pass(y.Gradient, residual);
            if (x.RequiresGradient) tape.Backend.Gemm(y.Gradient, false, w.Value, true, x.GradientTarget(out var more), more);
            if (w.RequiresGradient) tape.SumOverTokens(w, x.Sequence, (dw, add) => tape.Backend.GemmOuter(x.Value, y.Gradient, dw, x.Sequence, add));
        });
}
