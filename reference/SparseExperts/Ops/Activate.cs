using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = f(X), element by element.</summary>
    /// <remarks>dX = dY ∘ f'(X).</remarks>
    public static Tensor Activate(this Tape tape, Activation kind, Tensor x) => tape.Apply(nameof(Activate), x.Rows, x.Columns, [x],
        y => tape.Backend.Activate(kind, x.Value, y.Value),
        y => tape.Backend.ActivateBackward(kind, x.Value, y.Gradient, x.GradientTarget(out var add), add));
}
