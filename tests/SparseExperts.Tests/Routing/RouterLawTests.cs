using System.Reflection;
using SparseExperts.Conformance;
using SparseExperts.Layers;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>The router keeps every law, and routers broken in one way each are named by the law that catches them.</summary>
public sealed class RouterLawTests
{
    static RoutingPlan Healthy(RoutingCase asked) => RouterFromScores.Plan(new()
    {
        Dialect = BuiltIn.Named("mesh.switch") with { Capacity = asked.Capacity },
        Groups = asked.Groups,
        Size = asked.GroupSize,
        Experts = asked.Experts,
        Training = true,
        TokenMask = asked.TokenMask,
    }, asked.Scores);

    [Law(300, endSize: 12)]
    public void The_first_largest_score_is_chosen(RoutingCase asked) => RouterLaws.FirstLargestScore.Demand(asked, Healthy);

    [Law(300, endSize: 12)]
    public void No_expert_takes_more_than_its_capacity(RoutingCase asked) => RouterLaws.CapacityHolds.Demand(asked, Healthy);

    [Law(300, endSize: 12)]
    public void A_token_is_dropped_only_when_its_expert_is_full(RoutingCase asked) => RouterLaws.NobodyIsDroppedForNothing.Demand(asked, Healthy);

    [Law(300, endSize: 12)]
    public void Places_go_in_token_order(RoutingCase asked) => RouterLaws.TokenOrder.Demand(asked, Healthy);

    [Law(300, endSize: 12)]
    public void Padding_makes_no_choice_and_takes_no_place(RoutingCase asked) => RouterLaws.PaddingTakesNoPlace.Demand(asked, Healthy);

    [Fact]
    public void Every_law_has_its_test() =>
        Assert.All(RouterLaws.All, law => Assert.NotNull(GetType().GetMethod(law.Name)?.GetCustomAttribute<LawAttribute>()));

    [Fact]
    public void Capacity_that_rounds_up_is_named() => Caught(RouterLaws.CapacityHolds, asked => Healthy(asked with { Capacity = asked.Capacity + 1 }));

    [Fact]
    public void Capacity_that_loses_a_place_is_named() =>
        Caught(RouterLaws.NobodyIsDroppedForNothing, asked => Healthy(asked with { Capacity = asked.Capacity - 1 }));

    [Fact]
    public void Priority_from_the_back_is_named() => Caught(RouterLaws.TokenOrder, asked =>
    {
        var plan = Healthy(asked);
        int[] slot = new int[asked.Tokens], taken = new int[asked.Experts];
        for (var t = asked.Tokens - 1; t >= 0; t--)
        {
            if ((t + 1) % asked.GroupSize == 0) Array.Clear(taken);
            slot[t] = plan.Expert[t] >= 0 && taken[plan.Expert[t]] < asked.Capacity ? taken[plan.Expert[t]]++ : RoutingPlan.Dropped;
        }
        return new(asked.Experts, asked.Groups, 1, asked.Capacity, plan.Expert, slot);
    });

    [Fact]
    public void Ties_that_go_to_the_last_expert_are_named() => Caught(RouterLaws.FirstLargestScore, asked =>
    {
        var nudged = asked.Scores.Select((score, i) => score + i % asked.Experts * 1e-3f).ToArray();
        return Healthy(asked with { Scores = nudged });
    });

    [Fact]
    public void Padding_that_takes_places_is_named() => Caught(RouterLaws.PaddingTakesNoPlace, asked => Healthy(asked with { TokenMask = [] }));

    [Fact]
    public void Groups_that_compete_with_each_other_are_named() => Caught(RouterLaws.NobodyIsDroppedForNothing, asked =>
    {
        var plan = Healthy(asked with { Groups = 1 });
        return new(asked.Experts, 1, 1, asked.Capacity, plan.Expert, plan.Slot);
    });

    static void Caught(RouterLaw law, Func<RoutingCase, RoutingPlan> broken)
    {
        foreach (var asked in RoutingCase.Samples(300)) law.Demand(asked, Healthy);
        var failure = Assert.Throws<RouterLawViolation>(() =>
        {
            foreach (var asked in RoutingCase.Samples(300)) law.Demand(asked, broken);
        });
        Assert.Equal(law.Name, failure.Law.Name);
        Assert.StartsWith($"{law.Name}: ", failure.Message, StringComparison.Ordinal);
    }
}
