namespace SparseExperts.Oracle;

/// <summary>From slots that depart, or tokens in slots, to the rule that they follow.</summary>
static class SlotCauses
{
    public static FoundCauses Find(Case held, string stage, Departure of, Func<IBackend> backend) => Stage.On(held, backend, call =>
    {
        if (call.Expected.ByExperts) return FoundCauses.Among(of, ChosenTokens.Of(call));
        if (stage == "token" && call.Claims.SharesSlots) return FoundCauses.None;
        int[] Shown(int[] slot) => stage == "slot" ? slot
            : call.Claims.TokensInSlots(call.Claims.PlanOf(call.Choices, slot, call.Decided.Capacity), held.Get("claim.token").Size(-1));
        FoundCauses Among(IEnumerable<SlotRules.Rule> rules) => FoundCauses.Among(of, rules.Select(r => new FaultyNumbers(r.Cause, () => Shown(r.Assign()))));
        return Among(SlotRules.Of(call)) is { Causes.Count: > 0 } found ? found : Among(SlotRules.InTwoPoints(call));
    });
}
