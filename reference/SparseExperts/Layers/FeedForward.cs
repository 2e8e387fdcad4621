using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What one expert computes: wo·act(wi·x), gated where it has a gate projection.</summary>
public static class FeedForward
{
    /// <summary>All experts, each on its own rows: rows [offsets[e], offsets[e + 1]) meet the matrices of expert e.</summary>
    /// <param name="rows">[rows, M] in expert order.</param>
    /// <param name="indices">Where the rows come from, for dropout's words; null where nothing is dropped out.</param>
    /// <param name="instead">What becomes of the hidden layer; nothing by default.</param>
    internal static Tensor Grouped(Tape tape, RouterCall call, Tensor rows, ExpertWeights weights, GroupOffsets offsets, double dropout = 0,
        LayerStreams streams = default, PlanIndices? indices = null, Func<Tensor, Tensor>? instead = null)
    {
        var experts = call.HeldExperts;
        if (experts < call.Experts) offsets = offsets.First(experts);
        if (IsPlain(call, weights, dropout))
            return tape.GroupedFeedForward(ExpertKinds.Function(call.Dialect.Activation), rows, weights.Wi, weights.Wo, offsets);
        var rounded = tape.In(call.ExpertsFormat);
        rows.AddsPartsIn(call.ExpertsFormat);
        Tensor Project(Tensor from, Tensor w, Tensor? bias)
        {
            var to = tape.GroupedLinear(from, w, offsets);
            return bias is null ? rounded.Round(to)
                : rounded.Add(tape.WidenByRounding(to, call.ExpertsFormat), tape.RepeatRows(bias, rows.Rows, offsets));
        }
        var hidden = Project(rows, weights.Wi, weights.Bi);                                                             // [rows, F]
        var gate = weights.WiGate is null ? null : Project(rows, weights.WiGate, weights.BiGate);                       // [rows, F]
        hidden = Activate(tape, call, hidden, gate);                                                                    // [rows, F]
        if (call.Training && indices is not null) hidden = rounded.Drop(hidden, dropout, streams[RandomUse.ExpertDropout], indices);
        if (instead is not null) hidden = instead(hidden);
        return Project(hidden, weights.Wo, weights.Bo);                                                                 // [rows, M]
    }

    /// <summary>Whether an expert is two matrices and a function between them, in float32.</summary>
    static bool IsPlain(RouterCall call, ExpertWeights weights, double dropout)
    {
        if (weights.Bi is not null || weights.Bo is not null || weights.WiGate is not null) return false;
        if (call.ExpertsFormat != NumberFormat.Float32 || call.ActivationFormat != NumberFormat.Float32 || call.Training && dropout > 0) return false;
        return call.Dialect.Activation != ExpertActivation.ReluSquared && !call.Dialect.Activation.IsLimited();
    }

    /// <summary>act(h), or act(gate)∘h, or one of the limited forms, which are defined for gated experts only.</summary>
    /// <param name="shared">Whether it is the shared expert, which may have a limit of its own.</param>
    internal static Tensor Activate(Tape tape, RouterCall call, Tensor hidden, Tensor? gate, bool shared = false)
    {
        var d = call.Dialect;
        var rounded = tape.In(call.ActivationFormat);
        if (d.Activation == ExpertActivation.ReluSquared) return Squared(rounded, hidden, gate);
        if (d.Activation.IsLimited())
        {
            var limit = shared ? d.SharedActivationLimit ?? d.ActivationLimit : d.ActivationLimit;
            gate = gate ?? throw new RoutingException($"{call.Where}: {d.Activation} is for gated experts; give experts.wi_gate");
            return tape.Round(Limited(rounded, d, hidden, gate, limit > 0 ? limit : double.PositiveInfinity), call.ExpertsFormat);
        }
        var kind = ExpertKinds.Function(d.Activation);
        return tape.Round(gate is null ? rounded.Activate(kind, hidden) : rounded.Gated(kind, gate, hidden), call.ExpertsFormat);
    }

    /// <summary>max(h, 0)², or max(g, 0)²∘h.</summary>
    static Tensor Squared(InFormat rounded, Tensor hidden, Tensor? gate)
    {
        var relu = rounded.Activate(Activation.Relu, gate ?? hidden);
        var square = rounded.Multiply(relu, relu);
        return gate is null ? square : rounded.Multiply(square, hidden);
    }

    /// <summary>The gated forms whose halves are kept small, L the limit: see <see cref="ExpertActivation"/>.</summary>
    static Tensor Limited(InFormat rounded, Dialect d, Tensor hidden, Tensor gate, double limit)
    {
        Tensor AtMost(Tensor x) => rounded.Tape.Clamp(x, double.NegativeInfinity, limit);
        Tensor Within(Tensor x) => rounded.Tape.Clamp(x, -limit, limit);
        Tensor Capped(Tensor x, double cap) => cap > 0 ? rounded.Softcap(x, cap) : x;
        switch (d.Activation)
        {
            case ExpertActivation.SwigluLimited: return rounded.Multiply(rounded.Activate(Activation.Silu, AtMost(gate)), Within(hidden));
            case ExpertActivation.SwigluLimitedAfter: return rounded.Multiply(AtMost(rounded.Activate(Activation.Silu, gate)), Within(hidden));
            case ExpertActivation.SwigluClamped:
                var g = AtMost(gate);
                g.AddsPartsIn(rounded.Format);
                var slope = rounded.Activate(Activation.Sigmoid, rounded.Scale(g, d.ActivationAlpha));
                return rounded.Multiply(rounded.Shift(Within(hidden), d.ActivationBeta), rounded.Multiply(g, slope));
            case ExpertActivation.SwigluSoftcapped:
                gate.AddsPartsIn(rounded.Format);
                var mixed = rounded.Multiply(Capped(gate, d.ActivationGateSoftcap), rounded.Activate(Activation.Sigmoid, gate));
                return rounded.Multiply(mixed, Capped(hidden, d.ActivationUpSoftcap));
            default: throw new ArgumentOutOfRangeException(nameof(d), d.Activation, "not a limited activation");
        }
    }
}
