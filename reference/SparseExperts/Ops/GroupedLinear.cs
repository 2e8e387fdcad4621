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
    public static Tensor GroupedLinear(this Tape tape, Tensor x, Tensor w, int[] offsets) => tape.GroupedLinear(x, w, tape.UploadPlan(offsets), () => offsets);

    /// <summary>The same with offsets that the backend has; rows of X in no group give 0.</summary>
    /// <param name="onHost">The offsets for shards, which join their rows.</param>
    internal static Tensor GroupedLinear(this Tape tape, Tensor x, Tensor w, Indices offsets, Func<int[]> onHost) => tape.Apply(nameof(GroupedLinear), x.Rows, w.Columns, [x, w],
        y => tape.Backend.GemmGrouped(x.Value, w.Value, false, y.Value, offsets, false),
        y =>
        {
            if (x.RequiresGradient) tape.Backend.GemmGrouped(y.Gradient, w.Value, true, x.GradientTarget(out var more), offsets, more);
            if (!w.RequiresGradient) return;
            if (tape.Shards is null) tape.Backend.GemmGroupedOuter(x.Value, y.Gradient, w.GradientTarget(out var add), offsets, add);
            else
            {
                var (rows, slopes, all) = tape.OfAllShards(x.Value, y.Gradient, onHost());
                tape.Backend.GemmGroupedOuter(rows, slopes, w.GradientTarget(out var add), tape.UploadPlan(all), add);
            }
        });
}
