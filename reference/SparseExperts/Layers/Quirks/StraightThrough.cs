using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Layers.Quirks;

/// <summary>Gates get a gradient through the dispatch as well (st_moe_pytorch).</summary>
static class StraightThrough
{
    /// <summary>Value 1, gradient of the gate: x·(1 + g − g₀), g₀ the gate's number as a constant.</summary>
    public static Tensor Apply(Tape tape, Tensor inputs, Tensor gates)
    {
        var values = new double[gates.Value.Count];
        tape.Backend.Read(gates.Value, values);
        var negated = tape.Rent(gates.Rows, 1);
        tape.Backend.Write(negated, Array.ConvertAll(values, v => -v));
        return tape.ScaleRows(inputs, tape.Shift(tape.Add(gates, tape.Constant(negated)), 1));
    }
}
