using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = R + X·W: a projection that ends in a residual stream. Each output is one chain that starts from R.</summary>
    /// <remarks>dR = dY, dX = dY·Wᵀ, dW = Σ_t x_tᵀ·dy_t.</remarks>
    public static Tensor LinearAdd(this Tape tape, Tensor residual, Tensor x, Tensor w) => tape.Apply(nameof(LinearAdd), x.Rows, w.Columns, [residual, x, w],
        y => tape.Backend.GemmAdd(residual.Value, x.Value, w.Value, y.Value),
        y =>
        {
            if (residual.RequiresGradient) tape.Pass(y.Output, residual);
            tape.BackwardOfProduct(x, w, false, y.Gradient);
        });
}
