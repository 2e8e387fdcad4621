using SparseExperts.Autograd;
using SparseExperts.Layers.Quirks;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>From tokens, a plan and gates to the layer's output: dispatch, experts, combine, and what stands beside the experts.</summary>
public static class Experts
{
    /// <param name="x">Tokens as the experts see them [T, M].</param>
    /// <param name="gates">As they are applied [T, K].</param>
    /// <param name="dropout">Dropout of the hidden layer while training.</param>
    public static Tensor Apply(Tape tape, RouterCall call, Tensor x, ExpertWeights weights, Tensor gates, PlanHandle plan, double dropout = 0, LayerStreams streams = default)
    {
        using var place = tape.In("experts");
        var indices = new PlanIndices(tape, plan, x.Sequence);
        // 1. Dispatch: the rows of one expert side by side.
        var inputs = tape.Dispatch(x, indices);                                                                         // [rows, M]
        var rowGates = GatesOfRows(tape, call, gates, indices);                                                         // [rows, 1]
        if (call.Dialect.StraightThrough && rowGates is not null) inputs = StraightThrough.Apply(tape, inputs, rowGates);
        if (call.Dialect.ApplyGateTo == GatePlace.Input) inputs = tape.In(call.Format).ScaleRows(inputs, rowGates!);
        // 2. Experts: every row meets its expert's matrices.
        var outputs = IdentityExperts.Around(tape, call, inputs, plan, rows => FeedForward.Grouped(tape, call, rows, weights, indices.Offsets, dropout, streams, indices));
        outputs = TokenDropout.Apply(tape, call, outputs, streams, indices);                                            // [rows, M]
        // 3. Combine: a token's rows, each times its gate, added up.
        var y = Combine(tape, call, x, inputs, outputs, gates, rowGates, indices);                                      // [T, M]
        y = DroppedInputs.Add(tape, call, x, y, gates, plan);
        // 4. Beside: the shared expert.
        return SharedExpert.Join(tape, call, x, y, weights);
    }

    /// <summary>The gate of every row [rows, 1]; null where tokens share a slot, so that it has no one gate.</summary>
    static Tensor? GatesOfRows(Tape tape, RouterCall call, Tensor gates, PlanIndices indices)
    {
        var d = call.Dialect;
        if (!indices.Plan.SharesSlots) return tape.GateOfRows(gates, indices);
        if (d.ApplyGateTo == GatePlace.Input || d.Combination == Combination.Interpolated)
            throw new RoutingException($"{call.Where}: tokens share slots here, so that a slot has no one gate; give {d.Name} apply_gate_to output and combination gated");
        return null;
    }

    static Tensor Combine(Tape tape, RouterCall call, Tensor x, Tensor inputs, Tensor outputs, Tensor gates, Tensor? rowGates, PlanIndices indices)
    {
        var rounded = tape.In(call.Format);
        if (call.Dialect.ApplyGateTo == GatePlace.Input) return Sum(tape, call, outputs, indices);
        if (call.Dialect.Combination == Combination.Interpolated) return rounded.Round(Interpolate(tape, x, inputs, outputs, rowGates!, indices));
        if (rowGates is not null) return Sum(tape, call, rounded.ScaleRows(outputs, rowGates), indices);
        return rounded.Round(tape.Combine(outputs, gates, indices));
    }

    /// <summary>The rows of every token added up, rounded once or at every addition: kernels of one library differ in it.</summary>
    static Tensor Sum(Tape tape, RouterCall call, Tensor rows, PlanIndices indices) =>
        tape.WidenByRoundedAdditions(tape.Round(tape.Collect(rows, indices), call.Format), rows, indices.Plan, call.Format);

    /// <summary>y = α·f(x) + (1 − α)·x for tokens with a slot (BASE layers, Lewis et al. 2021, eq. 1).</summary>
    static Tensor Interpolate(Tape tape, Tensor x, Tensor inputs, Tensor outputs, Tensor rowGates, PlanIndices indices) =>
        tape.Add(tape.Collect(tape.ScaleRows(tape.Subtract(outputs, inputs), rowGates), indices), x);
}
