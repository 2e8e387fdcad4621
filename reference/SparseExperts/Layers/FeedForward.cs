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
    internal static Tensor Grouped(Tape tape, RouterCall call, Tensor rows, ExpertWeights weights, GroupOffsets offsets, double dropout = 0, LayerStreams streams = default,
        PlanIndices? indices = null)
    {
        var experts = call.Experts - call.Dialect.IdentityExperts;
        if (experts < call.Experts) offsets = offsets.First(experts);
        Indices? expertOfRow = weights.Bi is null && weights.Bo is null ? null : tape.UploadPlan(ExpertOfRow(offsets.OnHost(), rows.Rows));
        var rounded = tape.In(call.Format);
        Tensor Project(Tensor from, Tensor w, Tensor? bias)
        {
            var to = tape.GroupedLinear(from, w, offsets);
            return bias is null ? rounded.Round(to) : rounded.Add(to, tape.GatherRows(bias, expertOfRow!.Value));
        }
        var hidden = Project(rows, weights.Wi, weights.Bi);                                                             // [rows, F]
        var gate = weights.WiGate is null ? null : Project(rows, weights.WiGate, weights.BiGate);                       // [rows, F]
        hidden = Activate(tape, call, hidden, gate);                                                                    // [rows, F]
        if (call.Training && indices is not null) hidden = tape.Dropout(hidden, dropout, streams[RandomUse.ExpertDropout], indices);
        return Project(hidden, weights.Wo, weights.Bo);                                                                 // [rows, M]
    }

    /// <summary>The expert of every row, −1 for rows of nobody.</summary>
    static int[] ExpertOfRow(int[] offsets, int rows)
    {
        var experts = new int[rows];
        Array.Fill(experts, -1);
        for (var e = 0; e + 1 < offsets.Length; e++) Array.Fill(experts, e, offsets[e], offsets[e + 1] - offsets[e]);
        return experts;
    }

    /// <summary>act(h), or act(gate)∘h, or one of the clamped forms, which are defined for gated experts only.</summary>
    internal static Tensor Activate(Tape tape, RouterCall call, Tensor hidden, Tensor? gate)
    {
        var d = call.Dialect;
        var rounded = tape.In(call.Format);
        if (d.Activation is ExpertActivation.SwigluClamped or ExpertActivation.SwigluLimited)
            return Clamped(rounded, d, hidden, gate ?? throw new RoutingException($"{call.Where}: {d.Activation} is for gated experts; give experts.wi_gate"));
        var kind = ExpertKinds.Function(d.Activation);
        return gate is null ? rounded.Activate(kind, hidden) : rounded.Gated(kind, gate, hidden);
    }

    /// <summary>silu(min(g, L))·u, or g·σ(αg)·(u + 1) with g at most L; u within ± L.</summary>
    static Tensor Clamped(InFormat rounded, Dialect d, Tensor hidden, Tensor gate)
    {
        var limit = d.ActivationLimit;
        var g = rounded.Tape.Clamp(gate, double.NegativeInfinity, limit);
        var u = rounded.Tape.Clamp(hidden, -limit, limit);
        if (d.Activation == ExpertActivation.SwigluLimited) return rounded.Multiply(rounded.Activate(Activation.Silu, g), u);
        var slope = rounded.Activate(Activation.Sigmoid, rounded.Scale(g, d.ActivationAlpha));
        return rounded.Multiply(rounded.Shift(u, 1), rounded.Multiply(g, slope));
    }
}
