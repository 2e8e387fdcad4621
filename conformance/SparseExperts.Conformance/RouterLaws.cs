using FsCheck;
using FsCheck.Fluent;

namespace SparseExperts.Conformance;

/// <summary>What a token-choice top-1 router is asked: scores [T, E], groups, capacity, and which tokens are real (empty: all).</summary>
public sealed record RoutingCase(int Experts, int Groups, int Capacity, float[] Scores, float[] TokenMask)
{
    public int Tokens => Scores.Length / Experts;
    public int GroupSize => Tokens / Groups;
    public bool IsReal(int token) => TokenMask.Length == 0 || TokenMask[token] != 0;

    public override string ToString() =>
        $"E={Experts} G={Groups} C={Capacity} T={Tokens} scores [{string.Join(" ", Scores)}] real [{string.Join(" ", TokenMask)}]";

    /// <summary>Scores on a coarse grid, so that ties are common.</summary>
    public static Gen<RoutingCase> Any =>
        from experts in Gen.Choose(1, 5)
        from groups in Gen.Choose(1, 3)
        from size in Gen.Choose(1, 12)
        from capacity in Gen.Choose(1, 4)
        from scores in Gen.ArrayOf(Gen.Choose(0, 6).Select(i => i / 8f), experts * groups * size)
        from padded in Gen.Elements(false, true)
        from tokenMask in Gen.ArrayOf(Gen.Frequency((3, Gen.Constant(1f)), (1, Gen.Constant(0f))), padded ? groups * size : 0)
        select new RoutingCase(experts, groups, capacity, scores, tokenMask);

    /// <summary>The same cases on every call.</summary>
    public static IReadOnlyList<RoutingCase> Samples(int count) => Any.Sample(numberOfSamples: count, seed: new(1, 1), size: 12);

    public IEnumerable<RoutingCase> Smaller()
    {
        if (Groups > 1) yield return Only(GroupSize, 1);
        if (Groups == 1 && Tokens > 1) yield return Only(Tokens - 1, 1);
        if (TokenMask.Length > 0) yield return this with { TokenMask = [] };
        if (Capacity > 1) yield return this with { Capacity = Capacity - 1 };
    }

    RoutingCase Only(int tokens, int groups) => this with
    {
        Groups = groups,
        Scores = Scores[..(tokens * Experts)],
        TokenMask = TokenMask.Length == 0 ? [] : TokenMask[..tokens],
    };
}

/// <summary>A sentence that is true of every token-choice top-1 router. <paramref name="Find"/> gives what contradicts it, or null.</summary>
public sealed record RouterLaw(string Name, Func<RoutingCase, RoutingPlan, string?> Find)
{
    public void Demand(RoutingCase asked, Func<RoutingCase, RoutingPlan> router)
    {
        if (Find(asked, router(asked)) is { } detail) throw new RouterLawViolation(this, $"{detail} in {asked}");
    }
}

/// <summary>A router broke a law.</summary>
public sealed class RouterLawViolation(RouterLaw law, string detail) : Exception($"{law.Name}: {detail}")
{
    public RouterLaw Law => law;
}

/// <summary>The laws of Switch routing, each checkable by eye from a plan's description.</summary>
public static class RouterLaws
{
    public static RouterLaw FirstLargestScore { get; } = new("The_first_largest_score_is_chosen", (asked, plan) =>
        Tokens(asked, t => asked.IsReal(t) && plan.Expert[t] != Array.IndexOf(Row(asked, t), Row(asked, t).Max()), t => $"token {t} chose {plan.Expert[t]}"));

    public static RouterLaw CapacityHolds { get; } = new("No_expert_takes_more_than_its_capacity", (asked, plan) =>
        Tokens(asked, t => plan.Slot[t] >= asked.Capacity, t => $"token {t} has slot {plan.Slot[t]}"));

    public static RouterLaw NobodyIsDroppedForNothing { get; } = new("A_token_is_dropped_only_when_its_expert_is_full", (asked, plan) =>
        Tokens(
            asked,
            t => asked.IsReal(t) && plan.Slot[t] < 0 && Sharing(asked, plan, t).Count(u => plan.Slot[u] >= 0) < asked.Capacity,
            t => $"token {t} is dropped"));

    public static RouterLaw TokenOrder { get; } = new("Places_go_in_token_order", (asked, plan) =>
        Tokens(asked, t => plan.Slot[t] >= 0 && plan.Slot[t] != Sharing(asked, plan, t).Count(u => u < t), t => $"token {t} has slot {plan.Slot[t]}"));

    public static RouterLaw PaddingTakesNoPlace { get; } = new("Padding_makes_no_choice_and_takes_no_place", (asked, plan) =>
        Tokens(
            asked,
            t => !asked.IsReal(t) && (plan.Expert[t] != -1 || plan.Slot[t] != RoutingPlan.Dropped),
            t => $"padding {t} has expert {plan.Expert[t]}, slot {plan.Slot[t]}"));

    public static IReadOnlyList<RouterLaw> All { get; } = [FirstLargestScore, CapacityHolds, NobodyIsDroppedForNothing, TokenOrder, PaddingTakesNoPlace];

    static float[] Row(RoutingCase asked, int token) => asked.Scores[(token * asked.Experts)..((token + 1) * asked.Experts)];

    /// <summary>Tokens of the same group that chose the same expert.</summary>
    static IEnumerable<int> Sharing(RoutingCase asked, RoutingPlan plan, int token) =>
        Enumerable.Range(token / asked.GroupSize * asked.GroupSize, asked.GroupSize).Where(u => plan.Expert[u] == plan.Expert[token]);

    static string? Tokens(RoutingCase asked, Func<int, bool> broken, Func<int, string> detail) =>
        Enumerable.Range(0, asked.Tokens).Where(broken).Select(detail).FirstOrDefault();
}
