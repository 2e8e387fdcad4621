using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>C = A / B.</summary>
    /// <remarks>dA = dC / B, dB = −(dC / B) ∘ C.</remarks>
    public static Tensor Divide(this Tape tape, Tensor a, Tensor b) => tape.Apply(nameof(Divide), a.Rows, a.Columns, [a, b],
        c => tape.Backend.Divide(a.Value, b.Value, c.Value, false),
        c =>
        {
            if (a.RequiresGradient) tape.Backend.Divide(c.Gradient, b.Value, a.GradientTarget(out var addA), addA);
            if (!b.RequiresGradient) return;
            var slope = tape.Rent(b.Rows, b.Columns);
            tape.Backend.Divide(c.Gradient, b.Value, slope, false);
            tape.Backend.Scale(slope, -1, slope, false);
            tape.Backend.Multiply(slope, c.Value, b.GradientTarget(out var addB), addB);
        });
}
