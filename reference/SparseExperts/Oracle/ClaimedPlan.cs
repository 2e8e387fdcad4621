using SparseExperts.Routing;
using SparseExperts.Routing.Quirks;

namespace SparseExperts.Oracle;

/// <summary>The claimed integers (capacity, experts, slots, tokens in slots) as the plan that the stages after them are held to.</summary>
sealed class ClaimedPlan(Case @case, RouterCall call)
{
    /// <summary>The claimed capacity as a number of slots; null where none is claimed.</summary>
    public int? Capacity() => @case.Find("claim.capacity") is { } claim
        ? call.Dialect.CapacityLimit == CapacityLimit.Unlimited && claim.Values[0] > call.Size || call.Dialect.CapacityFormula == CapacityFormula.None
            ? RoutingPlan.Unlimited
            : (int)Math.Clamp(claim.Values[0], 0, int.MaxValue)
        : null;

    /// <summary>Who chose whom as the file claims it, else what is expected.</summary>
    public Choices ChoicesOr(Choices expected)
    {
        if (@case.Find("claim.expert") is { } claim)
        {
            var k = claim.Size(-1);
            // Where exactly two choices are defined there is nothing to hold another number of them to.
            if (k != expected.K
                && (call.Dialect.Selection is Selection.ExhaustionAware or Selection.SparseMixer || call.Dialect.Combination == Combination.MaskReadAsIndices))
                throw new CaseException($"{@case.Path}: claim.expert has {k} choices a token, {call.Dialect.Name} makes {expected.K}; correct its shape");
            var expert = Checked("claim.expert", claim.Integers, call.Experts);
            int[] candidate = [.. expert.Select((e, i) => e >= 0 || k != expected.K ? e : expected.Candidate[i])];
            // A column that a policy took away is filled with the expected expert that the claim, which may settle ties otherwise, has not taken.
            for (var i = 0; i < candidate.Length && k == expected.K; i++)
            {
                var row = i / k * k;
                if (expert[i] >= 0 || !candidate.AsSpan(row, i - row).Contains(candidate[i]) || expected.IsRepeated(call, i)) continue;
                candidate[i] = expected.Candidate.AsSpan(row, k).ToArray().FirstOrDefault(e => !expert.AsSpan(row, k).Contains(e), candidate[i]);
            }
            if (call.Dialect.DroppedOutput == DroppedOutput.SharedSlot) expert = [.. expert.Select((e, i) => call.IsReal(i / k) ? e : -1)];
            return expected with { K = k, Expert = expert, Candidate = candidate, Slot = [], Token = [] };
        }
        if (@case.Find("claim.token") is not { } tokens) return expected;
        if (!expected.ByExperts)
        {
            Checked("claim.token", tokens.Integers, call.Size);
            return SharesSlots ? expected : TokenCheck.Shown(call, expected, tokens);
        }
        return Choices.FromTokens(Checked("claim.token", tokens.Integers, call.Size), call.Groups, call.Size, call.Experts, expected.Rankings);
    }

    /// <summary>Whether several tokens can sit in one slot, so that tokens in slots do not show who chose whom.</summary>
    public bool SharesSlots => call.Dialect.DroppedOutput is DroppedOutput.SharedSlot or DroppedOutput.CollidingSlot;

    int[] Checked(string name, int[] values, int below)
    {
        @case.RequireWithin(name, values, below);
        return values;
    }

    /// <summary>The plan of choices in their claimed slots; null where none are claimed.</summary>
    public RoutingPlan? SlotsOrNull(Choices choices, int capacity) =>
        @case.Find("claim.slot") is { } slot ? PlanOf(choices, slot.Integers, capacity)
        : @case.Find("claim.token") is { } tokens && !choices.ByExperts ? PlanOf(choices, SlotsOfTokens(choices, tokens), capacity)
        : null;

    /// <summary>The plan of choices with slots.</summary>
    public RoutingPlan PlanOf(Choices choices, int[] slot, int capacity)
    {
        if (slot.Length != choices.Expert.Length)
            throw new CaseException($"{@case.Path}: claim.slot has {slot.Length} numbers, {choices.Expert.Length} are needed; correct its shape");
        @case.RequireWithin("claim.slot", slot, call.Tokens * (long)choices.K + 1);
        var expert = SharedSlots.Experts(call, choices);
        int[] usable = [.. slot.Select((s, i) => expert[i] < 0 ? RoutingPlan.Dropped : s)];
        return new(call.Experts, call.Groups, choices.K, capacity, expert, usable);
    }

    /// <summary>
    /// Where equals compete for the last slot, the claim says who has it: the choices whose dense gate is not 0, if each expert keeps as many as it must.
    /// </summary>
    public RoutingPlan PlanOfKept(Choices choices, RoutingPlan own, double[] dense, Numbers priority, int capacity)
    {
        var slot = new int[choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        int[] taken = new int[call.Groups * call.Experts], wanted = new int[taken.Length];
        for (var i = 0; i < slot.Length; i++)
        {
            if (choices.Expert[i] < 0) continue;
            var at = i / choices.K / call.Size * call.Experts + choices.Expert[i];
            var keeps = priority.Values[i] == 0 ? own.RowOf[i] >= 0 : dense[i / choices.K * call.Experts + choices.Expert[i]] != 0;
            if (keeps) slot[i] = taken[at]++;
            if (own.RowOf[i] >= 0) wanted[at]++;
        }
        return taken.AsSpan().SequenceEqual(wanted) ? new(call.Experts, call.Groups, choices.K, capacity, choices.Expert, slot) : own;
    }

    /// <summary>Tokens [G, E, C] of a plan whose tokens chose.</summary>
    public int[] TokensInSlots(RoutingPlan plan, int slots)
    {
        var tokens = new int[call.Groups * call.Experts * slots];
        Array.Fill(tokens, -1);
        for (var i = 0; i < plan.Slot.Length; i++)
            if (plan.Slot[i] >= 0 && plan.Slot[i] < slots)
                tokens[(i / plan.Choices / call.Size * call.Experts + plan.Expert[i]) * slots + plan.Slot[i]] = i / plan.Choices % call.Size;
        return tokens;
    }

    /// <summary>Slots [T·K] from claimed tokens in slots.</summary>
    public int[] SlotsOfTokens(Choices choices, CaseTensor claim)
    {
        var slots = claim.Size(-1);
        var tokens = Checked("claim.token", claim.Integers, call.Size);
        var slot = new int[choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var i = 0; i < tokens.Length; i++)
            for (var j = 0; j < choices.K && tokens[i] >= 0; j++)
            {
                var at = (i / (call.Experts * slots) * call.Size + tokens[i]) * choices.K + j;
                if (choices.Expert[at] == i / slots % call.Experts) slot[at] = i % slots;
            }
        return slot;
    }

    /// <summary>
    /// Tokens of every (group, expert): what was asked, or what was kept where the dialect drops by score (Megatron), or the capacity where experts are
    /// filled up to it.
    /// </summary>
    public int[] Counts(RoutingPlan plan, Choices choices, int capacity)
    {
        var counts = new int[call.Groups * call.Experts];
        if (CapacityRule.FillsUp(call.Dialect))
        {
            Array.Fill(counts, CapacityRule.Filled(capacity, call.Size));
            return counts;
        }
        var kept = call.Dialect.CapacityLimit == CapacityLimit.Unlimited && capacity != RoutingPlan.Unlimited;
        for (var i = 0; i < plan.RowOf.Length; i++)
            if ((kept ? plan.RowOf[i] : choices.Expert[i]) >= 0) counts[i / plan.Choices / call.Size * call.Experts + plan.Expert[i]]++;
        return counts;
    }
}
