using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = min(max(X, low), high).</summary>
    /// <remarks>dX = dY where low ≤ X ≤ high, else 0.</remarks>
    public static Tensor Clamp(this Tape tape, Tensor x, double low, double high) => tape.Apply(nameof(Clamp), x.Rows, x.Columns, [x],
        y => tape.Backend.Clamp(x.Value, low, high, y.Value),
        y => tape.Backend.ClampBackward(x.Value, low, high, y.Gradient, x.GradientTarget(out var add), add));

    /// <summary>Y = X rounded to a number format; float32 is what the tape computes in and changes nothing.</summary>
    /// <remarks>dX = dY. Bounds of gradients cover engines that round them as well.</remarks>
    public static Tensor Round(this Tape tape, Tensor x, NumberFormat format)
    {
        if (format is NumberFormat.Float32 or NumberFormat.Float64) return x;
        return tape.Apply(nameof(Round), x.Rows, x.Columns, [x],
            y => tape.Backend.Round(format, x.Value, y.Value),
            y =>
            {
                if (tape.Backend is IErrorBounds { CarriesBounds: true }) tape.Backend.Round(format, y.Gradient, y.Gradient);
                tape.Pass(y.Gradient, x);
            });
    }
}
