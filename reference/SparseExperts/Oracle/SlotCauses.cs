using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>From slots that depart, or tokens in slots, to the rule that they follow.</summary>
static class SlotCauses
{
    public static FoundCauses Find(Case held, string stage, Departure of, Func<IBackend> backend) => Stage.On(held, backend, call =>
    {
        if (call.Choices.ByExperts || stage == "token" && call.Claims.SharesSlots) return FoundCauses.None;
        int[] Shown(int[] slot) => stage == "slot" ? slot
            : call.Claims.TokensInSlots(call.Claims.PlanOf(call.Choices, slot, call.Decided.Capacity), held.Get("claim.token").Size(-1));
        return FoundCauses.Among(of, SlotRules.Of(call).Select(rule => new FaultyNumbers(rule.Cause, () => Shown(rule.Assign()))));
    });
}
