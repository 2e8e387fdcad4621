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
    /// <param name="sharedGates">Gates of the shared experts that have some [T, N].</param>
    /// <param name="hidden">What becomes of the hidden layer [rows, F] before the second matrix; nothing by default.</param>
    public static Tensor Apply(Tape tape, RouterCall call, Tensor x, ExpertWeights weights, Tensor gates, PlanHandle plan, double dropout = 0,
        LayerStreams streams = default, Tensor? sharedGates = null, Func<Tensor, Tensor>? hidden = null)
    {
        using var place = tape.Within("experts");
        var indices = new PlanIndices(tape, plan, x.Sequence);
        // 1. Dispatch: the rows of one expert side by side. L is M, or the width that the experts have between their own projections.
        var inputs = tape.Dispatch(LatentExperts.Enter(tape, call, x, weights), indices);                               // [rows, L]
        inputs.AddsPartsIn(call.Format);
        var rowGates = UsesRowGates(call, indices) ? tape.GateOfRows(gates, indices) : null;                            // [rows, 1]
        if (call.Dialect.StraightThrough && rowGates is not null) inputs = StraightThrough.Apply(tape, inputs, rowGates);
        if (call.Dialect.ApplyGateTo == GatePlace.Input) inputs = tape.In(call.ExpertsFormat).ScaleRows(inputs, rowGates!);
        // 2. Experts: every row meets its expert's matrices.
        var outputs = IdentityExperts.Around(tape, call, inputs, plan,
            rows => FeedForward.Grouped(tape, call, rows, weights, indices.Offsets, dropout, streams, indices, hidden));
        outputs = TokenDropout.Apply(tape, call, outputs, streams, indices);                                            // [rows, L]
        outputs = LatentExperts.Normed(tape, call, outputs, weights);                                                   // [rows, L]
        // 3. Combine: a token's rows, each times its gate, added up.
        var y = LatentExperts.Leave(tape, call, Combine(tape, call, x, inputs, outputs, gates, rowGates, indices), weights);    // [T, M]
        y = DroppedInputs.Add(tape, call, x, Finished(tape, call, y, weights), gates, plan);
        // 4. Beside: the shared expert.
        return SharedExpert.Join(tape, call, x, y, weights, sharedGates);
    }

    /// <summary>Whether rows are multiplied by gates of their own before tokens collect them; where tokens share a slot, it has no one gate.</summary>
    static bool UsesRowGates(RouterCall call, PlanIndices indices)
    {
        var d = call.Dialect;
        var needs = d.ApplyGateTo == GatePlace.Input || d.Combination == Combination.Interpolated;
        if (!indices.Plan.SharesSlots) return needs || d.StraightThrough || call.SumFormat != NumberFormat.Float32;
        return !needs ? false : throw new RoutingException(
            $"{call.Where}: tokens share slots here, so that a slot has no one gate; give {d.Name} apply_gate_to output and combination gated");
    }

    /// <summary>The sum as the layer hands it on: in the tokens' format, with the bias and the factor that some add once a token.</summary>
    static Tensor Finished(Tape tape, RouterCall call, Tensor y, ExpertWeights weights)
    {
        var rounded = tape.In(call.Format);
        if (call.SumFormat != call.Format) y = rounded.Round(y);
        if (call.Dialect.OutputBias) y = rounded.Add(y, tape.RepeatRow(RouterLogits.Needed(call, weights.OutputBias, "experts.output_bias"), y));
        return call.Dialect.OutputScalingFactor == 1 ? y : rounded.Scale(y, call.Dialect.OutputScalingFactor);
    }

    static Tensor Combine(Tape tape, RouterCall call, Tensor x, Tensor inputs, Tensor outputs, Tensor gates, Tensor? rowGates, PlanIndices indices)
    {
        var rounded = tape.In(call.SumFormat);
        if (call.Dialect.ApplyGateTo == GatePlace.Input) return Sum(tape, call, outputs, indices);
        if (call.Dialect.Combination == Combination.Interpolated) return rounded.Round(Interpolate(tape, x, inputs, outputs, rowGates!, indices));
        if (rowGates is not null)
        {
            var rows = tape.ScaleRows(outputs, rowGates);
            // Gates that are kept in float32 make products in float32.
            rows = tape.WidenByRoundedProducts(rows, outputs, rowGates, call.Dialect.GateDtype ?? call.SumFormat);
            return Sum(tape, call, rounded.Round(rows), indices);
        }
        return rounded.Round(tape.Combine(outputs, gates, indices));
    }

    /// <summary>The rows of every token added up, rounded once or at every addition: kernels of one library differ in it.</summary>
    static Tensor Sum(Tape tape, RouterCall call, Tensor rows, PlanIndices indices) =>
        tape.WidenByRoundedAdditions(tape.Round(tape.Collect(rows, indices), call.SumFormat), rows, indices.Plan, call.SumFormat);

    /// <summary>y = α·f(x) + (1 − α)·x for tokens with a slot (BASE layers, Lewis et al. 2021, eq. 1).</summary>
    static Tensor Interpolate(Tape tape, Tensor x, Tensor inputs, Tensor outputs, Tensor rowGates, PlanIndices indices) =>
        tape.Add(tape.Collect(tape.ScaleRows(tape.Subtract(outputs, inputs), rowGates), indices), x);
}
