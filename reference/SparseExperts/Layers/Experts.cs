using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>From tokens, a plan and gates to the layer's output: dispatch, experts, combine, and what stands beside the experts.</summary>
public static class Experts
{
    /// <param name="x">Tokens as the experts see them [T, M].</param>
    /// <param name="gates">As they are applied [T, K].</param>
    /// <param name="dropout">Dropout of the hidden layer while training.</param>
    public static Tensor Apply(Tape tape, RouterCall call, Tensor x, ExpertWeights weights, Tensor gates, RoutingPlan plan, double dropout = 0, LayerStreams streams = default)
    {
        using var place = tape.In("experts");
        var d = call.Dialect;
        var indices = new PlanIndices(tape, plan, x.Sequence);
        var inputs = tape.Dispatch(x, indices);                                                        // [rows, M], expert order
        var rowGates = plan.SharesSlots ? null : tape.GateOfRows(gates, indices);
        if (rowGates is null && (d.ApplyGateTo == GatePlace.Input || d.Combination == Combination.Interpolated))
            throw new RoutingException($"{call.Where}: tokens share slots here, so that a slot has no one gate; give {d.Name} apply_gate_to output and combination gated");
        if (d.StraightThrough && rowGates is not null) inputs = StraightThrough(tape, inputs, rowGates);
        if (d.ApplyGateTo == GatePlace.Input) inputs = Rounded(tape, call, tape.ScaleRows(inputs, rowGates!));
        var outputs = Identities(tape, call, inputs, plan, rows => FeedForward(tape, call, rows, weights, plan.Offsets, dropout, streams, indices));
        outputs = TokenDropout(tape, call, outputs, streams, indices);

        Tensor y;
        if (d.ApplyGateTo == GatePlace.Input) y = Sum(tape, call, outputs, indices);
        else if (d.Combination == Combination.Interpolated) y = Rounded(tape, call, Interpolate(tape, x, inputs, outputs, rowGates!, indices));
        else if (rowGates is not null) y = Sum(tape, call, Rounded(tape, call, tape.ScaleRows(outputs, rowGates)), indices);
        else y = Rounded(tape, call, tape.Combine(outputs, gates, indices));
        y = DroppedInputs(tape, call, x, y, gates, plan);
        return Beside(tape, call, x, y, weights);
    }

    /// <summary>The rows of every token added up, rounded once or at every addition: kernels of one library differ in it.</summary>
    static Tensor Sum(Tape tape, RouterCall call, Tensor rows, PlanIndices indices) =>
        tape.WidenByRoundedAdditions(Rounded(tape, call, tape.Collect(rows, indices)), rows, indices.Plan, call.Format);

    static Tensor Rounded(Tape tape, RouterCall call, Tensor x) => tape.Round(x, call.Format);

    /// <summary>wo·act(wi·x), gated where there is a gate projection; every row meets its expert's matrices.</summary>
    internal static Tensor FeedForward(Tape tape, RouterCall call, Tensor rows, ExpertWeights weights, int[] offsets, double dropout = 0, LayerStreams streams = default,
        PlanIndices? indices = null)
    {
        var experts = call.Experts - call.Dialect.IdentityExperts;
        if (experts < call.Experts) offsets = offsets[..(experts + 1)];
        Indices? expertOfRow = weights.Bi is null && weights.Bo is null ? null : tape.UploadPlan(ExpertOfRow(offsets));
        Tensor Project(Tensor from, Tensor w, Tensor? bias)
        {
            var to = tape.GroupedLinear(from, w, offsets);
            return Rounded(tape, call, bias is null ? to : tape.Add(to, tape.GatherRows(bias, expertOfRow!.Value)));
        }
        var hidden = Project(rows, weights.Wi, weights.Bi);
        var gate = weights.WiGate is null ? null : Project(rows, weights.WiGate, weights.BiGate);
        hidden = Activate(tape, call, hidden, gate);
        if (call.Training && indices is not null) hidden = tape.Dropout(hidden, dropout, streams[RandomUse.ExpertDropout], indices);
        return Project(hidden, weights.Wo, weights.Bo);
    }

    static int[] ExpertOfRow(int[] offsets)
    {
        var experts = new int[offsets[^1]];
        for (var e = 0; e + 1 < offsets.Length; e++) Array.Fill(experts, e, offsets[e], offsets[e + 1] - offsets[e]);
        return experts;
    }

    /// <summary>act(h), or act(gate)∘h, or one of the clamped forms, which are defined for gated experts only.</summary>
    internal static Tensor Activate(Tape tape, RouterCall call, Tensor hidden, Tensor? gate)
    {
        var d = call.Dialect;
        if (d.Activation is ExpertActivation.SwigluClamped or ExpertActivation.SwigluLimited)
        {
            var limit = d.ActivationLimit;
            var clampedGate = tape.Clamp(gate ?? throw new RoutingException($"{call.Where}: {d.Activation} is for gated experts; give experts.wi_gate"), double.NegativeInfinity, limit);
            var clamped = tape.Clamp(hidden, -limit, limit);
            if (d.Activation == ExpertActivation.SwigluLimited) return Rounded(tape, call, tape.Multiply(Rounded(tape, call, tape.Activate(Activation.Silu, clampedGate)), clamped));
            var slope = Rounded(tape, call, tape.Activate(Activation.Sigmoid, Rounded(tape, call, tape.Scale(clampedGate, d.ActivationAlpha))));
            return Rounded(tape, call, tape.Multiply(Rounded(tape, call, tape.Shift(clamped, 1)), Rounded(tape, call, tape.Multiply(clampedGate, slope))));
        }
        var kind = ExpertKinds.Function(d.Activation);
        if (gate is null) return Rounded(tape, call, tape.Activate(kind, hidden));
        if (call.Format == NumberFormat.Float32) return tape.Gated(kind, gate, hidden);
        return Rounded(tape, call, tape.Multiply(Rounded(tape, call, tape.Activate(kind, gate)), hidden));
    }

    /// <summary>Rows of the last experts come back as they went in.</summary>
    static Tensor Identities(Tape tape, RouterCall call, Tensor inputs, RoutingPlan plan, Func<Tensor, Tensor> experts)
    {
        var count = call.Dialect.IdentityExperts;
        if (count == 0) return experts(inputs);
        var first = plan.Offsets[call.Experts - count];
        int[] routed = new int[plan.Rows], passed = new int[plan.Rows];
        for (var r = 0; r < plan.Rows; r++) (routed[r], passed[r]) = r < first ? (r, -1) : (-1, r);
        var outputs = experts(tape.RowRange(inputs, 0, first));
        return tape.Add(tape.GatherRows(outputs, tape.UploadPlan(routed)), tape.GatherRows(inputs, tape.UploadPlan(passed)));
    }

    /// <summary>Ordinary dropout while training; evaluation multiplies by 1 − rate on top (transformers modeling_nllb_moe.py).</summary>
    static Tensor TokenDropout(Tape tape, RouterCall call, Tensor outputs, LayerStreams streams, PlanIndices indices)
    {
        var rate = call.Dialect.TokenDropout;
        if (rate == 0 || call.Dialect.Combination == Combination.MaskReadAsIndices && !call.Training) return outputs;
        return call.Training ? tape.Dropout(outputs, rate, streams[RandomUse.TokenDropout], indices) : tape.Scale(outputs, 1 - rate);
    }

    /// <summary>Value 1, gradient of the gate: x·(1 + g − g₀), g₀ the gate's number as a constant.</summary>
    static Tensor StraightThrough(Tape tape, Tensor inputs, Tensor gates)
    {
        var values = new double[gates.Value.Count];
        tape.Backend.Read(gates.Value, values);
        var negated = tape.Rent(gates.Rows, 1);
        tape.Backend.Write(negated, Array.ConvertAll(values, v => -v));
        return tape.ScaleRows(inputs, tape.Shift(tape.Add(gates, tape.Constant(negated)), 1));
    }

    /// <summary>y = α·f(x) + (1 − α)·x for tokens with a slot (BASE layers, Lewis et al. 2021, eq. 1).</summary>
    static Tensor Interpolate(Tape tape, Tensor x, Tensor inputs, Tensor outputs, Tensor rowGates, PlanIndices indices) =>
        tape.Add(tape.Collect(tape.ScaleRows(tape.Subtract(outputs, inputs), rowGates), indices), x);

    /// <summary>What a dropped token gets where that is not 0: gate times input (transformers before #37017).</summary>
    static Tensor DroppedInputs(Tape tape, RouterCall call, Tensor x, Tensor y, Tensor gates, RoutingPlan plan)
    {
        if (call.Dialect.DroppedOutput != DroppedOutput.GateTimesInput) return y;
        for (var j = 0; j < plan.Choices; j++)
        {
            // Choice by choice: the tokens that made it and have no slot for it, and its gates [T, 1].
            var choices = Enumerable.Range(0, plan.Tokens).Select(t => t * plan.Choices + j).ToArray();
            int[] lost = [.. choices.Select((i, t) => plan.RowOf[i] < 0 && plan.Expert[i] >= 0 ? t : -1)];
            if (!lost.Any(t => t >= 0)) continue;
            var gate = plan.Choices == 1 ? gates : tape.GatherElements(gates, choices, plan.Tokens, 1);
            y = tape.Add(y, tape.ScaleRows(tape.GatherRows(x, tape.UploadPlan(lost)), gate));
        }
        return y;
    }

    /// <summary>
    /// Gates and plan as they really take effect. Where a mask [T, E] of zeros and ones is read as expert indices, the first choice's gate weighs
    /// expert 1 and all others weigh expert 0.
    /// </summary>
    public static (Tensor Gates, RoutingPlan Plan) Effective(Tape tape, RouterCall call, Tensor gates, RoutingPlan plan)
    {
        if (call.Dialect.Combination != Combination.MaskReadAsIndices) return (gates, plan);
        if (call.Dialect.TokenDropout > 0 && !call.Training) gates = tape.Scale(gates, 1 - call.Dialect.TokenDropout);
        int k = plan.Choices, tokens = plan.Tokens;
        // Column i1 of a one-hot row is 1: its gate goes to expert 1. Every other column is 0: their gates go to expert 0.
        int[] expert = new int[tokens * 2], slot = new int[tokens * 2];
        for (var t = 0; t < tokens; t++) (expert[t * 2], expert[t * 2 + 1], slot[t * 2], slot[t * 2 + 1]) = (1, 0, t, t);
        float[] ones = new float[tokens * k], others = new float[tokens * k];
        for (var i = 0; i < ones.Length; i++)
        {
            var isFirst = i % k == 0 && plan.RowOf[i] >= 0;
            (ones[i], others[i]) = isFirst ? (1, 0) : (0, 1);
        }
        Tensor first = tape.SumRows(tape.Multiply(gates, tape.PlanConstant(tokens, k, ones))), rest = tape.SumRows(tape.Multiply(gates, tape.PlanConstant(tokens, k, others)));
        int[] left = new int[tokens * 2], right = new int[tokens * 2];
        for (var i = 0; i < left.Length; i++) (left[i], right[i]) = i % 2 == 0 ? (i / 2, -1) : (-1, i / 2);
        var both = tape.Add(tape.GatherElements(first, left, tokens, 2), tape.GatherElements(rest, right, tokens, 2));
        return (both, new RoutingPlan(call.Experts, 1, 2, RoutingPlan.Unlimited, expert, slot));
    }

    /// <summary>Shared expert and dense residual.</summary>
    static Tensor Beside(Tape tape, RouterCall call, Tensor x, Tensor y, ExpertWeights weights)
    {
        var d = call.Dialect;
        if (weights.SharedWi is null) return y;
        Tensor Project(Tensor from, Tensor w) => Rounded(tape, call, tape.Linear(from, w));
        var hidden = Activate(tape, call, Project(x, weights.SharedWi), weights.SharedWiGate is { } gate ? Project(x, gate) : null);
        var dense = Project(hidden, weights.SharedWo!);
        if (d.Combination == Combination.LearnedPair)
        {
            // c = softmax(x·W + b): c₀ weighs the routed experts, c₁ the dense one.
            var pair = tape.Softmax(tape.Add(tape.Linear(x, RouterLogits.Needed(call, weights.PairWeight, "residual.weight")), tape.RepeatRow(RouterLogits.Needed(call, weights.PairBias, "residual.bias"), x)));
            Tensor Share(int j) => tape.GatherColumns(pair, tape.UploadPlan([.. Enumerable.Repeat(j, x.Rows)]));
            return tape.Add(tape.ScaleRows(y, Share(0)), tape.ScaleRows(dense, Share(1)));
        }
        if (weights.SharedGate is { } sharedGate)
            dense = Rounded(tape, call, tape.ScaleRows(dense, Rounded(tape, call, tape.Activate(Activation.Sigmoid, Project(x, sharedGate)))));
        var sum = Rounded(tape, call, tape.Add(y, dense));
        return d.SharedCombination == SharedCombination.Average ? Rounded(tape, call, tape.Scale(sum, 0.5)) : sum;
    }
}
