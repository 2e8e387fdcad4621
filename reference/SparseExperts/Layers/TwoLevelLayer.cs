using SparseExperts.Autograd;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>
/// Two choices at each of two levels, with capacity at both (Mesh-TensorFlow moe.py, transformer_moe_layer_v2, as it was meant): X groups of
/// experts take slots full of tokens, and inside each group those slots are routed among Y experts like tokens. Expert id = group·Y + expert.
/// </summary>
/// <remarks>
/// A slot's tokenMask is ½([w &gt; ½] + [w &gt; 0]), w the first level's gate: a token in its second group makes only a second choice there, so that it
/// reaches at most three experts. loss = outer loss + mean over groups of the inner ones.
/// </remarks>
static class TwoLevelLayer
{
    const double InnerCapacityFactor = 1.0;

    public static SparseResult Forward(Tape tape, RouterCall call, Tensor x, RouterWeights router, ExpertWeights experts)
    {
        var d = call.Dialect;
        int outerCount = d.Groups, innerCount = call.Experts / d.Groups;
        var flat = d with { Selection = Selection.TopK, Groups = 1, GroupsKept = 1 };
        var outer = RoutedLayer.Route(tape, call with { Dialect = flat, Experts = outerCount }, x, new() { Weight = router.PrimaryWeight });
        var capacity = outer.Plan.Capacity;
        int slots = call.Groups * capacity;
        var gateValues = HostNumbers.Of(tape, outer.Gates).Values;

        Tensor? outputs = null;
        List<LossTerm> losses = [.. AuxiliaryLosses.Compute(tape, call with { Dialect = flat, Experts = outerCount }, outer.Losses)];
        int[] expert = new int[call.Tokens * outer.Plan.Choices * 2], slot = new int[expert.Length];
        Array.Fill(expert, -1);
        Array.Fill(slot, RoutingPlan.Dropped);
        var served = new int[call.Experts];
        for (var g = 0; g < outerCount; g++)
        {
            var choiceOfSlot = ChoiceOfSlot(outer.Plan, g, capacity, call.Groups);
            int[] tokenOfSlot = [.. choiceOfSlot.Select(c => c < 0 ? -1 : c / outer.Plan.Choices)];
            var inputs = tape.GatherRows(x, tape.UploadPlan(tokenOfSlot));                                 // [slots, M]
            float[] tokenMask = [.. choiceOfSlot.Select(c => c < 0 ? 0f : gateValues[c] > 0.5 ? 1f : gateValues[c] > 0 ? 0.5f : 0f)];
            var groups = Grouping.Count(d with { GroupSplit = GroupSplit.AnyDivisor, Replicas = 1 }, slots, 1, innerCount);
            var inner = call with
            {
                Dialect = flat with
                {
                    CapacityFactor = InnerCapacityFactor,
                    EvalCapacityFactor = InnerCapacityFactor,
                    Policy = Policy.All,
                    EvalPolicy = Policy.All,
                },
                Groups = groups,
                Size = slots / groups,
                Experts = innerCount,
                TokenMask = tokenMask,
                Where = $"{call.Where}, group {g}",
            };
            var weight = Columns(tape, router.SecondaryWeight!, g * innerCount, innerCount);
            var routed = RoutedLayer.Route(tape, inner, inputs, new() { Weight = weight });
            Tensor Part(Tensor all) => tape.RowRange(all, g * (all.Rows / outerCount), all.Rows / outerCount);
            Tensor? PartOrNull(Tensor? all) => all is null ? null : Part(all);
            var own = new ExpertWeights
            {
                Wi = Part(experts.Wi),
                WiGate = PartOrNull(experts.WiGate),
                Wo = Part(experts.Wo),
                Bi = PartOrNull(experts.Bi),
                BiGate = PartOrNull(experts.BiGate),
                Bo = PartOrNull(experts.Bo),
            };
            var y = Experts.Apply(tape, inner, inputs, own, routed.Gates, routed.Handle);                 // [slots, M]
            int[] place = [.. Enumerable.Range(0, outerCount * slots).Select(i => i / slots == g ? i % slots : -1)];
            var placed = tape.GatherRows(y, tape.UploadPlan(place));
            outputs = outputs is null ? placed : tape.Add(outputs, placed);
            LossTerm OfGroup(LossTerm l) => l with { Name = $"{l.Name}.{g}", Coefficient = l.Coefficient / outerCount };
            losses.AddRange(AuxiliaryLosses.Compute(tape, inner, routed.Losses).Select(OfGroup));
            Note(routed.Plan, choiceOfSlot, g * innerCount, expert, slot, served);
        }

        // Back to tokens with the first level's gates: rows lie by group of experts, token group, slot.
        Tensor? sum = null;
        for (var j = 0; j < outer.Plan.Choices; j++)
        {
            var rows = new int[call.Tokens];
            for (var t = 0; t < rows.Length; t++)
            {
                var i = t * outer.Plan.Choices + j;
                rows[t] = outer.Plan.RowOf[i] < 0 ? -1 : outer.Plan.Expert[i] * slots + t / call.Size * capacity + outer.Plan.Slot[i];
            }
            int[] column = [.. Enumerable.Range(0, call.Tokens).Select(t => t * outer.Plan.Choices + j)];
            var term = tape.ScaleRows(tape.GatherRows(outputs!, tape.UploadPlan(rows)), tape.GatherElements(outer.Gates, column, call.Tokens, 1));
            sum = sum is null ? term : tape.Add(sum, term);
        }
        var plan = new RoutingPlan(call.Experts, 1, outer.Plan.Choices * 2, RoutingPlan.Unlimited, expert, slot);
        return new(sum!, AuxiliaryLosses.Total(tape, call, losses), losses, outer.Scored.Logits, outer.Scored.Scores, plan, null);
    }

    /// <summary>For every slot of a group of experts the first-level choice in it, or −1.</summary>
    static int[] ChoiceOfSlot(RoutingPlan plan, int group, int capacity, int tokenGroups)
    {
        var choices = new int[tokenGroups * capacity];
        Array.Fill(choices, -1);
        var perGroup = plan.Tokens / tokenGroups;
        for (var i = 0; i < plan.RowOf.Length; i++)
            if (plan.RowOf[i] >= 0 && plan.Expert[i] == group) choices[i / plan.Choices / perGroup * capacity + plan.Slot[i]] = i;
        return choices;
    }

    /// <summary>Columns start … start + count − 1 of W.</summary>
    static Tensor Columns(Tape tape, Tensor w, int start, int count)
    {
        var ids = new int[w.Rows * count];
        for (var i = 0; i < ids.Length; i++) ids[i] = i / count * w.Columns + start + i % count;
        return tape.GatherElements(w, ids, w.Rows, count);
    }

    /// <summary>Writes what a token reaches in the end into the plan of both levels.</summary>
    static void Note(RoutingPlan inner, int[] choiceOfSlot, int firstExpert, int[] expert, int[] slot, int[] served)
    {
        for (var i = 0; i < inner.RowOf.Length; i++)
        {
            var choice = choiceOfSlot[i / inner.Choices];
            if (choice < 0 || inner.Expert[i] < 0) continue;
            var at = choice * 2 + i % inner.Choices;
            expert[at] = firstExpert + inner.Expert[i];
            if (inner.RowOf[i] >= 0) slot[at] = served[expert[at]]++;
        }
    }
}
