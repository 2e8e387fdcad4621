using SparseExperts.Autograd;
using SparseExperts.Sharding;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>
    /// Rows [o_e, o_{e+1}) of X meet W_e: Y_e = X_e·W_e. X [rows, in] in expert order, W [E·in, out] one matrix below the other,
    /// <paramref name="offsets"/> E + 1 entries.
    /// </summary>
    /// <remarks>dX_e = dY_e·W_eᵀ, dW_e = X_eᵀ·dY_e; an expert without rows has dW_e = 0.</remarks>
    public static Tensor GroupedLinear(this Tape tape, Tensor x, Tensor w, int[] offsets) => tape.Apply(nameof(GroupedLinear), x.Rows, w.Columns, [x, w],
        y => tape.Backend.GemmGrouped(x.Value, w.Value, false, y.Value, offsets, false),
        y =>
        {
            if (x.RequiresGradient) tape.Backend.GemmGrouped(y.Gradient, w.Value, true, x.GradientTarget(out var more), offsets, more);
            if (!w.RequiresGradient) return;
            var (rows, slopes, all) = tape.OfAllShards(x.Value, y.Gradient, offsets);
            tape.Backend.GemmGroupedOuter(rows, slopes, w.GradientTarget(out var add), all, add);
        });
}
