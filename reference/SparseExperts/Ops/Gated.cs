using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = f(gate) ∘ linear: GEGLU with gelu, SwiGLU with silu (Shazeer 2020, "GLU Variants Improve Transformer", eq. 5).</summary>
    /// <remarks>dGate = dY ∘ linear ∘ f'(gate), dLinear = dY ∘ f(gate).</remarks>
    public static Tensor Gated(this Tape tape, Activation kind, Tensor gate, Tensor linear)
    {
        var y = tape.Result(gate.Rows, gate.Columns, gate, linear);
        tape.Backend.Gated(kind, gate.Value, linear.Value, y.Value);
        tape.Record(y, () =>
        {
            Matrix dGate = gate.GradientTarget(out var addGate), dLinear = linear.GradientTarget(out var addLinear);
            tape.Backend.GatedBackward(kind, gate.Value, linear.Value, y.Gradient, dGate, addGate, dLinear, addLinear);
        });
        return y;
    }
}
