using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>C = A + B.</summary>
    /// <remarks>dA = dC, dB = dC.</remarks>
    public static Tensor Add(this Tape tape, Tensor a, Tensor b) => tape.Apply(nameof(Add), a.Rows, a.Columns, [a, b],
        c => tape.Backend.Add(a.Value, b.Value, c.Value),
        c =>
        {
            if (a.RequiresGradient) tape.Pass(c.Output, a);
            if (b.RequiresGradient) tape.Pass(c.Output, b);
        });

    /// <summary>C = A ∘ B.</summary>
    /// <remarks>dA = dC ∘ B, dB = dC ∘ A.</remarks>
    public static Tensor Multiply(this Tape tape, Tensor a, Tensor b) => tape.Apply(nameof(Multiply), a.Rows, a.Columns, [a, b],
        c => tape.Backend.Multiply(a.Value, b.Value, c.Value, false),
        c =>
        {
            if (a.RequiresGradient) tape.Backend.Multiply(c.Gradient, b.Value, a.GradientTarget(out var addA), addA);
            if (b.RequiresGradient) tape.Backend.Multiply(c.Gradient, a.Value, b.GradientTarget(out var addB), addB);
        });

    /// <summary>Y = factor·X.</summary>
    /// <remarks>dX = factor·dY.</remarks>
    public static Tensor Scale(this Tape tape, Tensor x, double factor) => tape.Apply(nameof(Scale), x.Rows, x.Columns, [x],
        y => tape.Backend.Scale(x.Value, factor, y.Value, false),
        y => tape.Backend.Scale(y.Gradient, factor, x.GradientTarget(out var add), add));

    /// <summary>Y_r = X_r·s_r, S [rows, 1].</summary>
    /// <remarks>dX_r = dY_r·s_r, ds_r = ⟨dY_r, X_r⟩.</remarks>
    public static Tensor ScaleRows(this Tape tape, Tensor x, Tensor s) => tape.Apply(nameof(ScaleRows), x.Rows, x.Columns, [x, s],
        y => tape.Backend.ScaleRows(x.Value, s.Value, y.Value, false),
        y =>
        {
            if (x.RequiresGradient) tape.Backend.ScaleRows(y.Gradient, s.Value, x.GradientTarget(out var addX), addX);
            if (s.RequiresGradient) tape.Backend.RowDots(y.Gradient, x.Value, s.GradientTarget(out var addS), addS);
        });
}
