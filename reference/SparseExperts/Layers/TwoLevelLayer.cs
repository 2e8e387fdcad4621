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

    /// <summary>What the first level did: it routes the call's own tokens, a group of experts in the place of an expert.</summary>
    /// <param name="Gates">Of every choice [T·K], on the host.</param>
    sealed record Outer(RouterCall Call, Routed Routed, double[] Gates, IReadOnlyList<LossTerm> Losses)
    {
        public RoutingPlan Plan => Routed.Plan;

        /// <summary>Slots of a group of experts, those of one token group behind those of another.</summary>
        public int Slots => Call.Groups * Plan.Capacity;
    }

    /// <summary>What a group of experts made of its slots.</summary>
    /// <param name="Output">[slots, M].</param>
    /// <param name="ChoiceOfSlot">The first level's choice in every slot, or −1.</param>
    sealed record Inner(Tensor Output, IReadOnlyList<LossTerm> Losses, int[] ChoiceOfSlot, RoutingPlan Plan);

    public static SparseResult Forward(Tape tape, RouterCall call, Tensor x, RouterWeights router, ExpertWeights experts)
    {
        var outer = RouteOuter(tape, call, x, router);
        Inner[] groups = [.. Enumerable.Range(0, call.Dialect.Groups).Select(g => RunGroup(tape, call, outer, g, x, router, experts))];
        var y = CombineOuter(tape, outer, groups);
        LossTerm[] losses = [.. outer.Losses, .. groups.SelectMany(g => g.Losses)];
        var scored = outer.Routed.Scored;
        return new(y, AuxiliaryLosses.Total(tape, call, losses), losses, scored.Logits, scored.Scores, PlanOfBoth(call, outer.Plan, groups), null);
    }

    /// <summary>Tokens choose groups of experts.</summary>
    static Outer RouteOuter(Tape tape, RouterCall call, Tensor x, RouterWeights router)
    {
        var own = call with { Dialect = call.Dialect with { Selection = Selection.TopK, Groups = 1, GroupsKept = 1 }, Experts = call.Dialect.Groups };
        var routed = RoutedLayer.Route(tape, own, x, new() { Weight = router.PrimaryWeight });
        return new(own, routed, HostNumbers.Of(tape, routed.Gates).Values, AuxiliaryLosses.Of(tape, own, routed.Losses));
    }

    /// <summary>The slots of a group choose among its experts, which compute.</summary>
    static Inner RunGroup(Tape tape, RouterCall call, Outer outer, int group, Tensor x, RouterWeights router, ExpertWeights experts)
    {
        int groups = call.Dialect.Groups, each = call.Experts / groups;
        var choiceOfSlot = ChoiceOfSlot(outer, group);
        int[] tokenOfSlot = [.. choiceOfSlot.Select(c => c < 0 ? -1 : c / outer.Plan.Choices)];
        var inputs = tape.GatherRows(x, tape.UploadPlan(tokenOfSlot));                                                          // [slots, M]
        var own = InnerCall(call, outer, group, each, [.. choiceOfSlot.Select(c => c < 0 ? 0f : Presence(outer.Gates[c]))]);
        var routed = RoutedLayer.Route(tape, own, inputs, new() { Weight = tape.Columns(router.SecondaryWeight!, group * each, each) });
        var y = Experts.Apply(tape, own, inputs, experts.Part(tape, group, groups), routed.Gates, routed.Handle);               // [slots, M]
        LossTerm OfGroup(LossTerm l) => l with { Name = $"{l.Name}.{group}", Coefficient = l.Coefficient / groups };
        return new(y, [.. AuxiliaryLosses.Of(tape, own, routed.Losses).Select(OfGroup)], choiceOfSlot, routed.Plan);
    }

    /// <summary>A call of a group's slots: what the call says of each of its tokens and sequences says nothing of them.</summary>
    static RouterCall InnerCall(RouterCall call, Outer outer, int group, int experts, float[] tokenMask)
    {
        var groups = Grouping.Count(call.Dialect with { GroupSplit = GroupSplit.AnyDivisor, Replicas = 1 }, outer.Slots, 1, experts);
        return outer.Call with
        {
            Dialect = outer.Call.Dialect with
            {
                CapacityFactor = InnerCapacityFactor,
                EvalCapacityFactor = InnerCapacityFactor,
                Policy = Policy.All,
                EvalPolicy = Policy.All,
            },
            Groups = groups,
            Size = outer.Slots / groups,
            Sequences = groups,
            Experts = experts,
            TokenMask = tokenMask,
            TokenIds = [],
            TaskIds = [],
            Where = $"{call.Where}, group {group}",
        };
    }

    /// <summary>½([w &gt; ½] + [w &gt; 0]).</summary>
    static float Presence(double gate) => gate > 0.5 ? 1 : gate > 0 ? 0.5f : 0;

    /// <summary>Slots back to tokens, with the first level's gates [T, M].</summary>
    static Tensor CombineOuter(Tape tape, Outer outer, Inner[] groups)
    {
        var outputs = tape.JoinRows([.. groups.Select(g => g.Output)]);                                                         // [X·slots, M]
        Tensor? sum = null;
        for (var j = 0; j < outer.Plan.Choices; j++)
        {
            int[] rows = [.. Enumerable.Range(0, outer.Call.Tokens).Select(t => RowOf(outer, t * outer.Plan.Choices + j))];
            var term = tape.ScaleRows(tape.GatherRows(outputs, tape.UploadPlan(rows)), tape.Columns(outer.Routed.Gates, j, 1));
            sum = sum is null ? term : tape.Add(sum, term);
        }
        return sum!;
    }

    /// <summary>Where a choice of the first level lies: by group of experts, token group, slot; −1 where it has no slot.</summary>
    static int RowOf(Outer outer, int choice)
    {
        var (plan, tokenGroup) = (outer.Plan, choice / outer.Plan.Choices / outer.Call.Size);
        return plan.RowOf[choice] < 0 ? -1 : plan.Expert[choice] * outer.Slots + tokenGroup * plan.Capacity + plan.Slot[choice];
    }

    /// <summary>For every slot of a group of experts the first level's choice in it, or −1.</summary>
    static int[] ChoiceOfSlot(Outer outer, int group)
    {
        var choices = new int[outer.Slots];
        Array.Fill(choices, -1);
        for (var i = 0; i < outer.Plan.RowOf.Length; i++)
            if (RowOf(outer, i) is var row and >= 0 && row / outer.Slots == group) choices[row % outer.Slots] = i;
        return choices;
    }

    /// <summary>What a token reaches in the end: two experts a choice of the first level.</summary>
    static RoutingPlan PlanOfBoth(RouterCall call, RoutingPlan outer, Inner[] groups)
    {
        int[] expert = new int[call.Tokens * outer.Choices * 2], slot = new int[expert.Length], served = new int[call.Experts];
        Array.Fill(expert, -1);
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var g = 0; g < groups.Length; g++)
        {
            var (choiceOfSlot, plan) = (groups[g].ChoiceOfSlot, groups[g].Plan);
            for (var i = 0; i < plan.RowOf.Length; i++)
            {
                var choice = choiceOfSlot[i / plan.Choices];
                if (choice < 0 || plan.Expert[i] < 0) continue;
                var at = choice * 2 + i % plan.Choices;
                expert[at] = g * call.Experts / groups.Length + plan.Expert[i];
                if (plan.RowOf[i] >= 0) slot[at] = served[expert[at]]++;
            }
        }
        return new(call.Experts, 1, outer.Choices * 2, RoutingPlan.Unlimited, expert, slot);
    }
}
