using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = min(max(X, low), high).</summary>
    /// <remarks>dX = dY where low ≤ X ≤ high, else 0.</remarks>
    public static Tensor Clamp(this Tape tape, Tensor x, double low, double high)
    {
        var y = tape.Result(x.Rows, x.Columns, x);
        tape.Backend.Clamp(x.Value, low, high, y.Value);
        tape.Record(y, () => tape.Backend.ClampBackward(x.Value, low, high, y.Gradient, x.GradientTarget(out var add), add));
        return y;
    }

    /// <summary>Y = X rounded to a number format; float32 is what the tape computes in and changes nothing.</summary>
    /// <remarks>dX = dY. Bounds of gradients cover engines that round them as well.</remarks>
    public static Tensor Round(this Tape tape, Tensor x, NumberFormat format)
    {
        if (format is NumberFormat.Float32 or NumberFormat.Float64) return x;
        var y = tape.Result(x.Rows, x.Columns, x);
        tape.Backend.Round(format, x.Value, y.Value);
        tape.Record(y, () =>
        {
            if (tape.Backend is IErrorBounds { CarriesBounds: true }) tape.Backend.Round(format, y.Gradient, y.Gradient);
            tape.Pass(y.Gradient, x);
        });
        return y;
    }
}
