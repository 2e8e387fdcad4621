using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>What an MLP router has before its last matrix: all of it, or, for who looks for faults, less or something else.</summary>
readonly record struct MlpForm()
{
    public Activation Activation { get; init; } = Activation.GeluErf;
    public bool IsNormed { get; init; } = true;
    public bool HasFirst { get; init; } = true;
    public bool HasSecond { get; init; } = true;
}

/// <summary>
/// A router with a width of its own that hands its state to the router of the next layer (ZAYA1, transformers modeling_zaya.py).
/// </summary>
static class MlpRouter
{
    /// <summary>s = x·D + d, plus the state before times its factor [T, R]: what the next layer's router is handed.</summary>
    public static Tensor State(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var w = RouterLogits.Needed(call, weights.Mlp, "router.mlp.norm");
        Tensor down = RouterLogits.Needed(call, w.Down, "router.down.weight"), bias = RouterLogits.Needed(call, w.DownBias, "router.down.bias");
        var rounded = tape.In(RouterLogits.FormatOf(call));
        var state = rounded.Add(rounded.Linear(input, down), tape.RepeatRow(bias, input));                      // [T, R]
        if (weights.Previous is not { } previous) return state;
        var factor = RouterLogits.Needed(call, w.PreviousScale, "router.previous_scale");
        return rounded.Add(state, rounded.Multiply(previous, tape.RepeatRow(factor, previous)));
    }

    /// <summary>gelu(gelu(RMS(s)∘w·W₁ + b₁)·W₂ + b₂)·W [T, E].</summary>
    public static Tensor Logits(Tape tape, RouterCall call, Tensor state, RouterWeights weights) => Logits(tape, call, state, weights, new MlpForm());

    internal static Tensor Logits(Tape tape, RouterCall call, Tensor state, RouterWeights weights, MlpForm form)
    {
        var w = weights.Mlp!;
        var rounded = tape.In(RouterLogits.FormatOf(call));
        Tensor Hidden(Tensor from, Tensor matrix, Tensor bias) =>
            rounded.Activate(form.Activation, rounded.Add(tape.Linear(from, matrix), tape.RepeatRow(bias, from)));
        var hidden = form.IsNormed ? rounded.Norm(state, w.Norm, call.Dialect.RouterNormEpsilon) : state;               // [T, R]
        if (form.HasFirst) hidden = Hidden(hidden, w.W1, w.B1);                                                         // [T, R]
        if (form.HasSecond) hidden = Hidden(hidden, w.W2, w.B2);                                                        // [T, R]
        return rounded.Linear(hidden, RouterLogits.Needed(call, weights.Weight, "router.weight"));                      // [T, E]
    }
}
