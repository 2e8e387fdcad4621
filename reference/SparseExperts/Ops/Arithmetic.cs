using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>C = A + B.</summary>
    /// <remarks>dA = dC, dB = dC.</remarks>
    public static Tensor Add(this Tape tape, Tensor a, Tensor b)
    {
        var c = tape.Result(a.Rows, a.Columns, a, b);
        tape.Backend.Add(a.Value, b.Value, c.Value);
        tape.Record(c, () =>
        {
            if (a.RequiresGradient) tape.Pass(c.Gradient, a);
            if (b.RequiresGradient) tape.Pass(c.Gradient, b);
        });
        return c;
    }

    /// <summary>C = A ∘ B.</summary>
    /// <remarks>dA = dC ∘ B, dB = dC ∘ A.</remarks>
    public static Tensor Multiply(this Tape tape, Tensor a, Tensor b)
    {
        var c = tape.Result(a.Rows, a.Columns, a, b);
        tape.Backend.Multiply(a.Value, b.Value, c.Value, false);
        tape.Record(c, () =>
        {
            if (a.RequiresGradient) tape.Backend.Multiply(c.Gradient, b.Value, a.GradientTarget(out var addA), addA);
            if (b.RequiresGradient) tape.Backend.Multiply(c.Gradient, a.Value, b.GradientTarget(out var addB), addB);
        });
        return c;
    }

    /// <summary>Y = factor·X.</summary>
    /// <remarks>dX = factor·dY.</remarks>
    public static Tensor Scale(this Tape tape, Tensor x, double factor)
    {
        var y = tape.Result(x.Rows, x.Columns, x);
        tape.Backend.Scale(x.Value, factor, y.Value, false);
        tape.Record(y, () => tape.Backend.Scale(y.Gradient, factor, x.GradientTarget(out var add), add));
        return y;
    }

    /// <summary>Y_r = X_r·s_r, S [rows, 1].</summary>
    /// <remarks>dX_r = dY_r·s_r, ds_r = ⟨dY_r, X_r⟩.</remarks>
    public static Tensor ScaleRows(this Tape tape, Tensor x, Tensor s)
    {
        var y = tape.Result(x.Rows, x.Columns, x, s);
        tape.Backend.ScaleRows(x.Value, s.Value, y.Value, false);
        tape.Record(y, () =>
        {
            if (x.RequiresGradient) tape.Backend.ScaleRows(y.Gradient, s.Value, x.GradientTarget(out var addX), addX);
            if (s.RequiresGradient) tape.Backend.RowDots(y.Gradient, x.Value, s.GradientTarget(out var addS), addS);
        });
        return y;
    }

    /// <summary>The gradient goes through unchanged.</summary>
    internal static void Pass(this Tape tape, Matrix gradient, Tensor to)
    {
        var target = to.GradientTarget(out var add);
        if (add) tape.Backend.Add(gradient, target, target);
        else tape.Backend.Copy(gradient, target);
    }
}
