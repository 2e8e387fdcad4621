using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>
/// The tape as a library sees it that computes in a narrow format: every op's result is rounded to it once, to nearest even. In float32 nothing is rounded.
/// </summary>
public readonly record struct InFormat(Tape Tape, NumberFormat Format)
{
    public Tensor Round(Tensor x) => Tape.Round(x, Format);

    /// <summary>A weight as it is used: rounded, where the optimizer keeps it wider.</summary>
    public Tensor Read(Tensor weight) => weight is Parameter parameter && !IsKeptIn(parameter) ? Round(weight) : weight;

    bool IsKeptIn(Parameter weight) => weight.IsNarrow && weight.Type.Format() == Format;

    public Tensor Linear(Tensor x, Tensor weight, bool transpose = false) => Round(Tape.Linear(x, Read(weight), transpose));

    public Tensor Add(Tensor a, Tensor b) => Round(Tape.Add(a, b));

    public Tensor Multiply(Tensor a, Tensor b) => Round(Tape.Multiply(a, b));

    public Tensor Scale(Tensor x, double factor) => Round(Tape.Scale(x, factor));

    public Tensor Shift(Tensor x, double number) => Round(Tape.Shift(x, number));

    public Tensor ScaleRows(Tensor x, Tensor column) => Round(Tape.ScaleRows(x, column));

    public Tensor Activate(Activation kind, Tensor x) => Round(Tape.Activate(kind, x));

    public Tensor Drop(Tensor x, double rate, RandomStream stream) => rate == 0 ? x : Round(Tape.Dropout(x, rate, stream));

    /// <summary>The same for rows in the order of a plan.</summary>
    internal Tensor Drop(Tensor x, double rate, RandomStream stream, PlanIndices rows) => rate == 0 ? x : Round(Tape.Dropout(x, rate, stream, rows));

    /// <summary>RMS(x)∘w with the norm itself rounded before w multiplies.</summary>
    public Tensor Norm(Tensor x, Tensor weight, double epsilon)
    {
        if (Format == NumberFormat.Float32) return Tape.RmsNorm(x, weight, epsilon);
        return Multiply(Normed(x, epsilon), Tape.RepeatRow(Read(weight), x));
    }

    /// <summary>x/√(mean x² + ε), per row.</summary>
    public Tensor Normed(Tensor x, double epsilon) => Round(Tape.RmsNorm(x, Tape.Constant(Tape.Constants.Ones(x.Columns).Reshape(1, x.Columns)), epsilon));

    /// <summary>c·tanh(x/c): near x where it is small, never beyond ± c.</summary>
    public Tensor Softcap(Tensor x, double cap) => Scale(Activate(Activation.Tanh, Scale(x, 1 / cap)), cap);

    /// <summary>f(gate) ∘ linear: one op in float32, two roundings in a narrower format.</summary>
    public Tensor Gated(Activation kind, Tensor gate, Tensor linear) =>
        Format == NumberFormat.Float32 ? Tape.Gated(kind, gate, linear) : Multiply(Activate(kind, gate), linear);
}

public static class InFormatOps
{
    /// <summary>The tape with every result rounded to a format.</summary>
    public static InFormat In(this Tape tape, NumberFormat format) => new(tape, format);
}
