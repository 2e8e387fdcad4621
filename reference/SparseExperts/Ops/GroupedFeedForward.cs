using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>
    /// Rows [o_e, o_{e+1}) of X meet expert e: Y_e = f(X_e·I_e)·O_e. X [rows, in] in expert order, I [E·in, hidden] and O [E·hidden, out] one matrix below the
    /// other. Rows of no group give 0. What f is given and what it gives are saved.
    /// </summary>
    /// <remarks>With H = X·I: dO_e = f(H_e)ᵀ·dY_e, dH_e = (dY_e·O_eᵀ) ∘ f'(H_e), dX_e = dH_e·I_eᵀ, dI_e = X_eᵀ·dH_e.</remarks>
    public static Tensor GroupedFeedForward(this Tape tape, Activation kind, Tensor x, Tensor wi, Tensor wo, GroupOffsets offsets) =>
        tape.Apply(nameof(GroupedFeedForward), x.Rows, wo.Columns, [x, wi, wo],
            y =>
            {
                Matrix inner = y.Save(x.Rows, wi.Columns), hidden = y.Save(x.Rows, wi.Columns);
                tape.Backend.GemmGroupedActivate(x.Value, wi.Value, offsets.OnBackend, kind, inner, hidden);
                tape.Backend.GemmGrouped(hidden, wo.Value, false, y.Value, offsets.OnBackend, false);
            },
            y =>
            {
                Matrix inner = y.Saved[0], hidden = y.Saved[1], slopes = tape.Rent(inner.Rows, inner.Columns);
                if (wo.RequiresGradient && tape.Shards is null)
                {
                    var dwo = wo.GradientTarget(out var addO);
                    tape.Backend.GemmGroupedActivateBackward(kind, inner, hidden, wo.Value, y.Gradient, offsets.OnBackend, slopes, dwo, addO);
                }
                else
                {
                    var ofHidden = tape.Rent(inner.Rows, inner.Columns);
                    tape.Backend.GemmGrouped(y.Gradient, wo.Value, true, ofHidden, offsets.OnBackend, false);
                    tape.OuterOfGroups(hidden, y.Gradient, wo, offsets);
                    tape.Backend.ActivateBackward(kind, inner, ofHidden, slopes, false);
                }
                tape.BackwardOfGroups(x, wi, slopes, offsets);
            });

    /// <summary>Gradients of X_e·W_e, in one op where nobody else has rows.</summary>
    static void BackwardOfGroups(this Tape tape, Tensor x, Tensor w, Matrix dy, GroupOffsets offsets)
    {
        if (x.RequiresGradient && w.RequiresGradient && !ReferenceEquals(x, w) && tape.Shards is null)
        {
            Matrix dx = x.GradientTarget(out var addX), dw = w.GradientTarget(out var addW);
            tape.Backend.GemmGroupedBackward(x.Value, w.Value, dy, offsets.OnBackend, dx, addX, dw, addW);
            return;
        }
        if (x.RequiresGradient) tape.Backend.GemmGrouped(dy, w.Value, true, x.GradientTarget(out var more), offsets.OnBackend, more);
        tape.OuterOfGroups(x.Value, dy, w, offsets);
    }
}
