using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = f(X), element by element.</summary>
    /// <remarks>dX = dY ∘ f'(X).</remarks>
    public static Tensor Activate(this Tape tape, Activation kind, Tensor x)
    {
        var y = tape.Result(x.Rows, x.Columns, x);
        tape.Backend.Activate(kind, x.Value, y.Value);
        tape.Record(y, () => tape.Backend.ActivateBackward(kind, x.Value, y.Gradient, x.GradientTarget(out var add), add));
        return y;
    }
}
