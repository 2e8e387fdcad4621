using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = f(gate) ∘ linear: GEGLU with gelu, SwiGLU with silu (Shazeer 2020, "GLU Variants Improve Transformer", eq. 5).</summary>
    /// <remarks>dGate = dY ∘ linear ∘ f'(gate), dLinear = dY ∘ f(gate).</remarks>
    public static Tensor Gated(this Tape tape, Activation kind, Tensor gate, Tensor linear) => tape.Apply(nameof(Gated),
        gate.Rows, gate.Columns, [gate, linear],
        y => tape.Backend.Gated(kind, gate.Value, linear.Value, y.Value),
        y =>
        {
            // The op's destinations must not overlap: a tensor in both places gets its second gradient afterwards.
            var isOne = ReferenceEquals(gate, linear);
            var dGate = gate.GradientTarget(out var addGate);
            var addLinear = false;
            var dLinear = isOne ? tape.Rent(linear.Rows, linear.Columns) : linear.GradientTarget(out addLinear);
            tape.Backend.GatedBackward(kind, gate.Value, linear.Value, y.Gradient, dGate, addGate, dLinear, addLinear);
            if (isOne) tape.Pass(dLinear, linear);
        });
}
