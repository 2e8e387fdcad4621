using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = X ∘ mask/(1 − rate); the mask comes from the stream, so the same stream gives the same mask anywhere.</summary>
    /// <remarks>dX = dY ∘ mask/(1 − rate): the same op on the gradient.</remarks>
    public static Tensor Dropout(this Tape tape, Tensor x, double rate, RandomStream stream)
    {
        if (rate == 0 || !tape.Recording) return x;
        var y = tape.Result(x.Rows, x.Columns, x);
        tape.Backend.Dropout(x.Value, rate, stream, y.Value, false);
        tape.Record(y, () => tape.Backend.Dropout(y.Gradient, rate, stream, x.GradientTarget(out var add), add));
        return y;
    }
}
