using System.Reflection;
using SparseExperts.Conformance;
using SparseExperts.Layers;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Every dialect keeps every law that its axes promise, and engines broken in one way each are named by the law that catches them.</summary>
public sealed class DialectLawTests
{
    [Law(40, endSize: 12)]
    public void Every_choice_is_an_expert_and_none_is_chosen_twice(DialectCase asked) => DialectLaws.IdsAreExperts.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void No_expert_takes_more_than_its_capacity(DialectCase asked) => DialectLaws.CapacityHolds.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Slots_count_up_from_zero_without_gaps(DialectCase asked) => DialectLaws.SlotsAreDistinct.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void A_request_is_dropped_only_when_its_expert_is_full(DialectCase asked) => DialectLaws.NobodyIsDroppedForNothing.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Who_comes_first_in_the_stated_order_stays(DialectCase asked) => DialectLaws.DropsFollowTheOrder.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Who_has_the_larger_score_stays(DialectCase asked) => DialectLaws.DropsFollowTheScore.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Each_expert_takes_its_best_tokens(DialectCase asked) => DialectLaws.BestTokensAreTaken.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void The_same_scores_and_draws_give_the_same_plan(DialectCase asked) => DialectLaws.PlanIsAFunction.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Groups_do_not_touch_each_other(DialectCase asked) => DialectLaws.GroupsAreApart.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Padding_makes_no_choice_and_takes_no_slot(DialectCase asked) => DialectLaws.PaddingTakesNothing.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Padding_changes_nothing_for_the_others(DialectCase asked) => DialectLaws.PaddingIsInvisible.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Evaluation_does_not_depend_on_chance(DialectCase asked) => DialectLaws.EvaluationRepeats.Demand(asked, DialectLaws.Engine);

    [Law(40, endSize: 12)]
    public void Permuting_the_experts_permutes_the_plan(DialectCase asked) => DialectLaws.ExpertsHaveNoNames.Demand(asked, DialectLaws.Engine);

    [Law(3, endSize: 12)]
    public void Drawn_experts_are_asked_equally_often(DialectCase asked) => DialectLaws.ChanceIsFair.Demand(asked, DialectLaws.Engine);

    [Fact]
    public void Every_law_has_its_test() =>
        Assert.All(DialectLaws.All, law => Assert.NotNull(GetType().GetMethod(law.Name)?.GetCustomAttribute<LawAttribute>()));

    [Fact]
    public void Every_law_is_promised_by_somebody() => Assert.All(DialectLaws.All, law => Assert.True(BuiltIn.All.Any(law.IsPromised), law.Name));

    [Fact]
    public void Every_dialect_with_a_plan_keeps_at_least_three_laws() =>
        Assert.All(BuiltIn.All.Where(DialectLaws.HasPlan), d => Assert.True(DialectLaws.All.Count(l => l.IsPromised(d)) >= 3, d.Name));

    [Fact]
    public void One_slot_too_many_is_named() => Caught(DialectLaws.CapacityHolds, "deepspeed.top2", (d, call, asked) =>
    {
        var plan = RouterFromScores.Plan(call with { Dialect = call.Dialect with { Capacity = call.Dialect.Capacity + 1 } }, asked.Scores);
        return new(plan.Experts, plan.Groups, plan.Choices, plan.Capacity - 1, plan.Expert, plan.Slot);
    });

    [Fact]
    public void A_count_that_forgets_earlier_choices_is_named() => Caught(DialectLaws.SlotsAreDistinct, "fairseq.top2", (d, call, asked) =>
        RouterFromScores.Plan(call with { Dialect = call.Dialect with { DroppedOutput = DroppedOutput.CollidingSlot } }, asked.Scores));

    [Fact]
    public void Ranking_drops_by_logits_against_zero_is_named() => Caught(DialectLaws.NobodyIsDroppedForNothing, "deepspeed.topk", (d, call, asked) =>
        RouterFromScores.Plan(call with { Dialect = call.Dialect with { DropPolicy = DropPolicy.Logit } }, [.. asked.Scores.Select(s => s - 2)], asked.Scores));

    [Fact]
    public void Token_major_order_where_choices_come_first_is_named() => Caught(
        DialectLaws.DropsFollowTheOrder,
        "flax.tokens_choose_masked",
        (d, call, asked) => RouterFromScores.Plan(call with { Dialect = call.Dialect with { Order = RequestOrder.TokenMajor, K = 2 } }, asked.Scores),
        d => d with { K = 2 });

    [Fact]
    public void Dropping_by_position_where_scores_decide_is_named() => Caught(DialectLaws.DropsFollowTheScore, "megatron.topk", (d, call, asked) =>
        RouterFromScores.Plan(call with { Dialect = call.Dialect with { DropPolicy = DropPolicy.Position } }, asked.Scores));

    [Fact]
    public void Experts_that_take_the_first_tokens_are_named() => Caught(DialectLaws.BestTokensAreTaken, "zhou.expert_choice", (d, call, asked) =>
        RouterFromScores.Plan(call, [.. asked.Scores.Select(_ => 1f)]));

    [Fact]
    public void One_group_out_of_two_is_named() => Caught(DialectLaws.GroupsAreApart, "mesh.top_n", (d, call, asked) =>
    {
        var plan = RouterFromScores.Plan(call with { Groups = 1, Size = call.Tokens }, asked.Scores);
        return new(plan.Experts, call.Groups, plan.Choices, plan.Capacity, plan.Expert, plan.Slot);
    });

    [Fact]
    public void Padding_that_is_routed_is_named() => Caught(
        DialectLaws.PaddingTakesNothing,
        "lingvo.top2",
        (d, call, asked) => RouterFromScores.Plan(call with { TokenMask = [] }, asked.Scores));

    [Fact]
    public void An_expert_that_is_preferred_by_its_number_is_named() => Caught(DialectLaws.ExpertsHaveNoNames, "hf.mixtral", (d, call, asked) =>
        RouterFromScores.Plan(call, [.. asked.Scores.Select((s, i) => s + 0.1f * (i % asked.Experts))]));

    [Fact]
    public void The_same_expert_twice_is_named() => Caught(DialectLaws.IdsAreExperts, "hf.mixtral", (d, call, asked) =>
    {
        var plan = RouterFromScores.Plan(call, asked.Scores);
        int[] expert = [.. plan.Expert.Select((e, i) => plan.Expert[i / 2 * 2])], slot = [.. plan.Expert.Select(_ => RoutingPlan.Dropped)];
        return new(plan.Experts, plan.Groups, plan.Choices, plan.Capacity, expert, slot);
    });

    [Fact]
    public void Padding_that_shifts_slots_is_named() => Caught(DialectLaws.PaddingIsInvisible, "hf.nllb_moe.v4", (d, call, asked) =>
    {
        var plan = RouterFromScores.Plan(call, asked.Scores);
        bool IsAfterPadding(int token) => asked.TokenMask.AsSpan(0, Math.Min(asked.TokenMask.Length, token)).Contains(0);
        int[] slot = [.. plan.Slot.Select((s, i) => s >= 0 && IsAfterPadding(i / plan.Choices) ? s + 1 : s)];
        return new(plan.Experts, plan.Groups, plan.Choices, plan.Capacity, plan.Expert, slot);
    });

    [Fact]
    public void A_second_expert_that_is_sampled_in_evaluation_is_named() => Caught(DialectLaws.EvaluationRepeats, "deepspeed.top2", (d, call, asked) =>
    {
        var sampled = call with { Dialect = call.Dialect with { Policy = Policy.Sample } };
        if (call.Training) return RouterFromScores.Plan(call, asked.Scores);
        var draws = RouterDraws.From(sampled, new(new((ulong)Interlocked.Increment(ref _calls)), 9, 0), 1);
        return RouterFromScores.Plan(sampled with { Draws = draws }, asked.Scores);
    }, d => d with { Policy = Policy.All });

    static int _calls;

    [Fact]
    public void A_plan_that_changes_from_call_to_call_is_named() => Caught(DialectLaws.PlanIsAFunction, "deepspeed.top1", (d, call, asked) =>
        RouterFromScores.Plan(call with { Draws = RouterDraws.From(call, new(new((ulong)Interlocked.Increment(ref _calls)), 7, 0), 1) }, asked.Scores));

    /// <summary>The larger of two draws.</summary>
    [Fact]
    public void Chance_that_prefers_some_is_named() => Caught(DialectLaws.ChanceIsFair, "thor.random", (d, call, asked) =>
        RouterFromScores.Plan(call with { Draws = new() { Sample = [.. call.Draws.Sample!.Select(u => MathF.Sqrt(u))] } }, asked.Scores));

    static void Caught(DialectLaw law, string dialect, DialectRouter broken, Func<Dialect, Dialect>? change = null)
    {
        var subject = change is null ? BuiltIn.Named(dialect) : change(BuiltIn.Named(dialect));
        foreach (var asked in DialectCase.Samples(40)) law.Demand(subject, asked, DialectLaws.Engine);
        var failure = Assert.Throws<DialectLawViolation>(() =>
        {
            foreach (var asked in DialectCase.Samples(40)) law.Demand(subject, asked, broken);
        });
        Assert.Equal(law.Name, failure.Law.Name);
        Assert.StartsWith($"{law.Name}: {dialect}: ", failure.Message, StringComparison.Ordinal);
    }
}
