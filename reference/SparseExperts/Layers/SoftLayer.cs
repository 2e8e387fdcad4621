using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>
/// Soft mixture of experts (Puigcerver et al. 2023, section 2; V-MoE projects/soft_moe/router.py): each of an expert's P slots is a mixture of all
/// tokens of the group, each token a mixture of all slots. Nothing is dropped, nothing is causal.
/// </summary>
/// <remarks>logits = scale·x̂·μ̂; dispatch = softmax over tokens, combine = softmax over slots; x̂ = x/√(Σx² + 10⁻⁶).</remarks>
public static class SoftLayer
{
    public static SparseResult Forward(Tape tape, RouterCall call, Tensor x, RouterWeights router, ExpertWeights experts)
    {
        var slots = RouterLogits.Needed(call, router.Slots, "router.slots").Columns / call.Experts;
        var logits = Logits(tape, call, x, router);                                                     // [T, E·P]
        Tensor dispatch = RouterScores.SoftmaxOverTokens(tape, call, logits), combine = tape.Softmax(logits);
        var y = Mix(tape, call, x, dispatch, combine, experts, slots);
        int[] nobody = [.. Enumerable.Repeat(-1, call.Tokens)];
        return new(y, null, [], logits, PerExpert(tape, call, combine, slots), new RoutingPlan(call.Experts, call.Groups, 1, slots, nobody, nobody), null);
    }

    /// <summary>Scaled cosines of tokens and slots [T, E·P].</summary>
    public static Tensor Logits(Tape tape, RouterCall call, Tensor x, RouterWeights router)
    {
        using var exact = tape.Exactly();
        var slots = RouterLogits.UnitRows(tape, tape.Transpose(RouterLogits.Needed(call, router.Slots, "router.slots")));                         // [E·P, M]
        var cosines = tape.Linear(RouterLogits.UnitRows(tape, x), slots, transpose: true);
        var scale = tape.RepeatColumn(RouterLogits.Needed(call, router.Scale, "router.scale"), cosines.Columns);
        return tape.Multiply(cosines, tape.RepeatRow(scale, cosines));
    }

    /// <summary>Slots from tokens, experts on slots, tokens from slots; group by group.</summary>
    public static Tensor Mix(Tape tape, RouterCall call, Tensor x, Tensor dispatch, Tensor combine, ExpertWeights experts, int slots)
    {
        int size = call.Size, perGroup = call.Experts * slots;
        // Rows of the dispatched matrix lie by expert, then group, then slot.
        int[] rowOf = new int[call.Groups * perGroup], offsets = [.. Enumerable.Range(0, call.Experts + 1).Select(e => e * call.Groups * slots)];
        for (var i = 0; i < rowOf.Length; i++) rowOf[(i / slots % call.Experts * call.Groups + i / perGroup) * slots + i % slots] = i;
        var inputs = ByGroup(tape, call, g =>
            tape.Linear(tape.Transpose(Rows(tape, dispatch, g * size, size)), Rows(tape, x, g * size, size)));               // [G·E·P, M]
        var ordered = tape.GatherRows(inputs, tape.UploadPlan(rowOf));
        var outputs = FeedForward.Grouped(tape, call, ordered, experts, GroupOffsets.Upload(tape, offsets));
        var backOf = new int[rowOf.Length];
        for (var r = 0; r < rowOf.Length; r++) backOf[rowOf[r]] = r;
        var bySlot = tape.GatherRows(outputs, tape.UploadPlan(backOf));
        return ByGroup(tape, call, g => tape.Linear(Rows(tape, combine, g * size, size), Rows(tape, bySlot, g * perGroup, perGroup)));
    }

    /// <summary>What each group gives, one below the other.</summary>
    static Tensor ByGroup(Tape tape, RouterCall call, Func<int, Tensor> rows) =>
        call.Groups == 1 ? rows(0) : tape.JoinRows([.. Enumerable.Range(0, call.Groups).Select(rows)]);

    static Tensor Rows(Tape tape, Tensor x, int start, int count) => count == x.Rows ? x : tape.RowRange(x, start, count);

    /// <summary>A token's share in each expert: its slots' combine weights added up [T, E].</summary>
    static Tensor PerExpert(Tape tape, RouterCall call, Tensor combine, int slots)
    {
        var sums = new float[combine.Columns * call.Experts];
        for (var i = 0; i < combine.Columns; i++) sums[i * call.Experts + i / slots] = 1;
        return tape.Linear(combine, tape.PlanConstant(combine.Columns, call.Experts, sums));
    }

    /// <summary>P = round(S·cf/E), at least 1.</summary>
    public static int SlotsPerExpert(RouterCall call) => Math.Max(1, CapacityRule.Capacity(call, default));
}
