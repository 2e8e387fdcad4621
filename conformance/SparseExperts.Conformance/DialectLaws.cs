using FsCheck;
using FsCheck.Fluent;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>
/// What every dialect is asked, or the one that is named: scores [T, E] on a coarse grid, groups, a capacity, which tokens are real (empty: all), a seed of
/// its draws.
/// </summary>
public sealed record DialectCase(int Experts, int Groups, int Capacity, float[] Scores, float[] Importance, int Seed, Dialect? Dialect = null)
{
    public int Tokens => Scores.Length / Experts;
    public int Size => Tokens / Groups;

    /// <summary>Those of the given dialects that are asked.</summary>
    public IEnumerable<Dialect> Among(IEnumerable<Dialect> dialects) => dialects.Where(d => Dialect is null || d == Dialect);

    public override string ToString() => $"{Dialect?.Name ?? "every dialect"} " +
        $"E={Experts} G={Groups} C={Capacity} seed={Seed} scores [{string.Join(" ", Scores)}] real [{string.Join(" ", Importance)}]";

    /// <summary>Numbers of experts that every dialect can do with; sizes that balanced assignments can share.</summary>
    public static Gen<DialectCase> Any =>
        from experts in Gen.Elements(4, 8)
        from groups in Gen.Choose(1, 2)
        from rounds in Gen.Choose(1, 3)
        from capacity in Gen.Choose(1, 3)
        from seed in Gen.Choose(0, 1000)
        from scores in Gen.ArrayOf(Gen.Choose(1, 40).Select(i => i / 64f), experts * groups * experts * rounds)
        from padded in Gen.Elements(false, true)
        from importance in Gen.ArrayOf(Gen.Frequency((4, Gen.Constant(1f)), (1, Gen.Constant(0f))), padded ? groups * experts * rounds : 0)
        select new DialectCase(experts, groups, capacity, scores, importance, seed);

    /// <summary>The same cases on every call.</summary>
    public static IReadOnlyList<DialectCase> Samples(int count) => Any.Sample(numberOfSamples: count, seed: new(1, 1), size: 12);

    /// <summary>The first dialect that fails, then fewer tokens.</summary>
    public IEnumerable<DialectCase> Smaller() => Dialect is null ? BuiltIn.All.Select(d => this with { Dialect = d }) : Shorter();

    IEnumerable<DialectCase> Shorter()
    {
        if (Groups > 1) yield return First(Size);
        if (Importance.Length > 0) yield return this with { Importance = [] };
        if (Groups == 1 && Tokens > Experts) yield return First(Experts);
    }

    /// <summary>The first tokens as one group.</summary>
    public DialectCase First(int tokens) =>
        this with { Groups = 1, Scores = Scores[..(tokens * Experts)], Importance = Importance.Length == 0 ? [] : Importance[..tokens] };
}

/// <summary>How a router answers a case: by default the library's engine.</summary>
public delegate RoutingPlan DialectRouter(Dialect dialect, RouterCall call, DialectCase asked);

/// <summary>A sentence that is true of every dialect that promises it. <paramref name="Find"/> gives what contradicts it, or null.</summary>
public sealed record DialectLaw(string Name, Func<Dialect, bool> IsPromised, Func<Dialect, DialectCase, DialectRouter, string?> Find)
{
    public void Demand(Dialect dialect, DialectCase asked, DialectRouter router)
    {
        if (Find(dialect, asked, router) is { } detail) throw new DialectLawViolation(this, $"{dialect.Name}: {detail} in {asked}");
    }

    /// <summary>Demands the law of every dialect that is asked and promises it.</summary>
    public void Demand(DialectCase asked, DialectRouter router)
    {
        foreach (var dialect in asked.Among(BuiltIn.All.Where(IsPromised))) Demand(dialect, asked, router);
    }
}

/// <summary>A router broke a law.</summary>
public sealed class DialectLawViolation(DialectLaw law, string detail) : Exception($"{law.Name}: {detail}")
{
    public DialectLaw Law => law;
}

/// <summary>Laws that every dialect keeps, or the ones among them that its axes promise.</summary>
public static class DialectLaws
{
    /// <summary>Dialects whose whole decision is a plan from one matrix of scores.</summary>
    public static bool HasPlan(Dialect d) => d.Selection is not (Selection.SlotMixture or Selection.TwoLevel or Selection.TwoLevelCapacity);

    static bool HasCapacity(Dialect d) => HasPlan(d) && d.CapacityFormula is not (CapacityFormula.None or CapacityFormula.UnlessZero);

    static bool SharesSlots(Dialect d) => d.DroppedOutput is DroppedOutput.SharedSlot or DroppedOutput.CollidingSlot;

    public static RoutingPlan Engine(Dialect dialect, RouterCall call, DialectCase asked) => RouterFromScores.Plan(call, asked.Scores);

    /// <summary>The call that a case stands for; capacity is the case's where the dialect has one.</summary>
    public static RouterCall Call(Dialect d, DialectCase asked, int? capacity = null)
    {
        var settled = HasCapacity(d) && d.Selection is not (Selection.Batchwise or Selection.Auction or Selection.OptimalAssignment) ? d with { Capacity = Math.Min(capacity ?? asked.Capacity, asked.Size) } : d;
        var call = new RouterCall
        {
            Dialect = settled,
            Groups = d.Selection is Selection.Batchwise ? 1 : asked.Groups,
            Size = d.Selection is Selection.Batchwise ? asked.Tokens : asked.Size,
            Experts = asked.Experts,
            Training = true,
            Importance = asked.Importance,
            TokenIds = [.. Enumerable.Range(0, asked.Tokens).Select(t => t * 7 % 16)],
            TaskIds = [.. Enumerable.Range(0, asked.Tokens).Select(t => t / asked.Size)],
            Table = [.. Enumerable.Range(0, 16 * d.K).Select(i => (i / d.K * 3 + i % d.K) % asked.Experts)],
        };
        return call with { Draws = RouterDraws.From(call, new(new((ulong)asked.Seed), 1, 0), 1) };
    }

    static RoutingPlan Plan(Dialect d, DialectCase asked, DialectRouter router) => router(d, Call(d, asked), asked);

    public static DialectLaw IdsAreExperts { get; } = new("Every_choice_is_an_expert_and_none_is_chosen_twice", HasPlan, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        for (var t = 0; t < plan.Tokens; t++)
        {
            int[] chosen = [.. plan.Expert.AsSpan(t * plan.Choices, plan.Choices).ToArray().Where(e => e >= 0)];
            if (chosen.Any(e => e >= asked.Experts)) return $"token {t} chose {chosen.Max()}";
            if (d.Taken == Taken.Removed && d.Selection != Selection.ExhaustionAware && chosen.Distinct().Count() != chosen.Length) return $"token {t} chose an expert twice";
        }
        return null;
    });

    public static DialectLaw CapacityHolds { get; } = new("No_expert_takes_more_than_its_capacity", d => HasCapacity(d) && !SharesSlots(d), (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        return Kept(plan).Where(k => k.Count() > plan.Capacity).Select(k => $"expert {k.Key.Expert} of group {k.Key.Group} took {k.Count()} with {plan.Capacity} slots").FirstOrDefault();
    });

    public static DialectLaw SlotsAreDistinct { get; } = new("Slots_count_up_from_zero_without_gaps", d => HasPlan(d) && !SharesSlots(d), (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        return Kept(plan).Where(k => !k.Select(i => plan.Slot[i]).Order().SequenceEqual(Enumerable.Range(0, k.Count()))).Select(k => $"expert {k.Key.Expert} of group {k.Key.Group} has slots {string.Join(" ", k.Select(i => plan.Slot[i]))}").FirstOrDefault();
    });

    /// <summary>Old DeepSpeed loses requests to those who did not ask; a score of exactly 0 can do so elsewhere, and the cases have none.</summary>
    public static DialectLaw NobodyIsDroppedForNothing { get; } = new("A_request_is_dropped_only_when_its_expert_is_full", d => HasPlan(d) && !SharesSlots(d) && d.DropPolicy != DropPolicy.Logit, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        var kept = Kept(plan).ToDictionary(k => k.Key, k => k.Count());
        return Requests(plan).Where(r => kept.GetValueOrDefault(r.Key) != Math.Min(plan.Capacity, r.Count())).Select(r => $"expert {r.Key.Expert} of group {r.Key.Group} kept {kept.GetValueOrDefault(r.Key)} of {r.Count()}").FirstOrDefault();
    });

    public static DialectLaw DropsFollowTheOrder { get; } = new("Who_comes_first_in_the_stated_order_stays", d => HasCapacity(d) && !SharesSlots(d) && d is { DropPolicy: DropPolicy.Position, BatchPrioritized: false } && d.Selection is Selection.TopK or Selection.Cascade or Selection.ExhaustionAware or Selection.OnePerPrototype or Selection.BestPartThenTopK, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        int Place(int i) => d.Order == RequestOrder.TokenMajor ? i : i % plan.Choices * plan.Tokens + i / plan.Choices;
        return Requests(plan).Where(r => r.Where(i => plan.Slot[i] < 0).Select(Place).DefaultIfEmpty(int.MaxValue).Min() < r.Where(i => plan.Slot[i] >= 0).Select(Place).DefaultIfEmpty(-1).Max())
            .Select(r => $"expert {r.Key.Expert} dropped an earlier request and kept a later one").FirstOrDefault();
    });

    public static DialectLaw DropsFollowTheScore { get; } = new("Who_has_the_larger_score_stays", d => HasCapacity(d) && d.DropPolicy == DropPolicy.Score, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        float Score(int i) => asked.Scores[i / plan.Choices * asked.Experts + plan.Expert[i]];
        return Requests(plan).Where(r => r.Where(i => plan.Slot[i] < 0).Select(Score).DefaultIfEmpty(float.NegativeInfinity).Max() > r.Where(i => plan.Slot[i] >= 0).Select(Score).DefaultIfEmpty(float.PositiveInfinity).Min())
            .Select(r => $"expert {r.Key.Expert} dropped a larger score and kept a smaller one").FirstOrDefault();
    });

    public static DialectLaw BestTokensAreTaken { get; } = new("Each_expert_takes_its_best_tokens", d => HasPlan(d) && d.Selection == Selection.ExpertChoice && d.Padding is PaddingRule.Routed or PaddingRule.ScoresZeroed && d.IgnorePadding != true, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        float Score(int t, int e) => asked.Scores[t * asked.Experts + e];
        foreach (var taken in Kept(plan))
        {
            var tokens = taken.Select(i => i / plan.Choices).ToHashSet();
            var rest = Enumerable.Range(taken.Key.Group * asked.Size, asked.Size).Where(t => !tokens.Contains(t)).Select(t => Score(t, taken.Key.Expert)).DefaultIfEmpty(0).Max();
            if (tokens.Min(t => Score(t, taken.Key.Expert)) < rest) return $"expert {taken.Key.Expert} left a better token out";
        }
        return null;
    });

    public static DialectLaw PlanIsAFunction { get; } = new("The_same_scores_and_draws_give_the_same_plan", HasPlan, (d, asked, router) =>
        Plan(d, asked, router).Describe() == Plan(d, asked, router).Describe() ? null : "two calls gave two plans");

    public static DialectLaw GroupsAreApart { get; } = new("Groups_do_not_touch_each_other", d => HasPlan(d) && d.Selection is not (Selection.Sinkhorn or Selection.Batchwise or Selection.Random or Selection.DynamicTopK), (d, asked, router) =>
    {
        if (asked.Groups < 2) return null;
        var both = Plan(d, asked, router);
        var call = Call(d, asked);
        var alone = asked.First(asked.Size);
        float[]? Part(float[]? draws) => draws?[..(draws.Length / 2)];
        var first = router(d, call with
        {
            Groups = 1,
            Importance = alone.Importance,
            TokenIds = call.TokenIds[..asked.Size],
            TaskIds = call.TaskIds[..asked.Size],
            Draws = new() { Sample = Part(call.Draws.Sample), Noise = Part(call.Draws.Noise), UniformGumbel = Part(call.Draws.UniformGumbel), Policy = Part(call.Draws.Policy), Rts = Part(call.Draws.Rts) },
        }, alone);
        for (var t = 0; t < asked.Size; t++)
        {
            string Row(RoutingPlan plan) => string.Join(" ", Enumerable.Range(t * plan.Choices, plan.Choices).Where(i => plan.Expert[i] >= 0).Select(i => $"{plan.Expert[i]}:{plan.Slot[i]}"));
            if (Row(both) != Row(first)) return $"token {t} is {Row(both)} beside another group, {Row(first)} alone";
        }
        return null;
    });

    public static DialectLaw PaddingTakesNothing { get; } = new("Padding_makes_no_choice_and_takes_no_slot", d => HasPlan(d) && d.Padding == PaddingRule.Skipped && d.IgnorePadding != false && d.DroppedOutput != DroppedOutput.SharedSlot, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        for (var i = 0; i < plan.Expert.Length; i++)
            if (asked.Importance.Length > 0 && asked.Importance[i / plan.Choices] == 0 && (plan.Expert[i] >= 0 || plan.Slot[i] >= 0)) return $"padding {i / plan.Choices} chose {plan.Expert[i]}";
        return null;
    });

    public static DialectLaw PaddingIsInvisible { get; } = new("Padding_changes_nothing_for_the_others", d => PaddingTakesNothing.IsPromised(d) && d.Selection != Selection.Batchwise && d.DropPolicy != DropPolicy.Random && !d.IsRandom(true), (d, asked, router) =>
    {
        // One group, once with the padding and once without, the capacity being given.
        var one = asked.First(asked.Size);
        int[] real = [.. Enumerable.Range(0, one.Tokens).Where(t => one.Importance.Length == 0 || one.Importance[t] == 1)];
        if (real.Length == one.Tokens || real.Length == 0) return null;
        var without = one with { Scores = [.. real.SelectMany(t => one.Scores[(t * one.Experts)..((t + 1) * one.Experts)])], Importance = [] };
        var capacity = Math.Min(one.Capacity, real.Length);
        RoutingPlan padded = router(d, Call(d, one, capacity), one), bare = router(d, Call(d, without, capacity), without);
        string Row(RoutingPlan plan, int t) => string.Join(" ", Enumerable.Range(t * plan.Choices, plan.Choices).Select(i => $"{plan.Expert[i]}:{plan.Slot[i]}"));
        for (var n = 0; n < real.Length; n++)
            if (Row(padded, real[n]) != Row(bare, n)) return $"token {real[n]} is {Row(padded, real[n])} beside padding, {Row(bare, n)} without";
        return null;
    });

    public static DialectLaw EvaluationRepeats { get; } = new("Evaluation_does_not_depend_on_chance", d => HasPlan(d) && !d.IsRandom(false) && d.Selection is not (Selection.Batchwise or Selection.BinaryCode), (d, asked, router) =>
    {
        RouterCall Eval(ulong seed)
        {
            var call = Call(d, asked) with { Training = false };
            return call with { Draws = RouterDraws.From(call, new(new(seed), 2, 0), 1) };
        }
        return router(d, Eval(1), asked).Describe() == router(d, Eval(2), asked).Describe() ? null : "two draws gave two plans in evaluation";
    });

    /// <summary>Equivariance, where equal scores do not decide and experts have no places of their own.</summary>
    public static DialectLaw ExpertsHaveNoNames { get; } = new("Permuting_the_experts_permutes_the_plan", d => HasPlan(d)
        && d.Selection is Selection.TopK or Selection.ExpertChoice or Selection.Cascade or Selection.PositiveScores or Selection.All or Selection.OptimalTransport
        && d.Noise == LogitNoise.None && d.RouterPolicy is not (RouterPolicy.Sample or RouterPolicy.GumbelLogits) && d.Policy != Policy.Sample && d.DropPolicy != DropPolicy.Random && d.Groups == 1, (d, asked, router) =>
    {
        // Distinct scores, so that no tie rule is needed.
        var distinct = asked with { Scores = [.. asked.Scores.Select((s, i) => s + (i * 37 % asked.Scores.Length) / 65536f)] };
        int[] renamed = [.. Enumerable.Range(0, asked.Experts).Select(e => (e * 3 + 1) % asked.Experts)];
        var turned = new float[distinct.Scores.Length];
        for (var i = 0; i < turned.Length; i++) turned[i / asked.Experts * asked.Experts + renamed[i % asked.Experts]] = distinct.Scores[i];
        RoutingPlan before = Plan(d, distinct, router), after = Plan(d, distinct with { Scores = turned }, router);
        string Row(RoutingPlan plan, int t, Func<int, int> name) => string.Join(" ", Enumerable.Range(t * plan.Choices, plan.Choices).Where(i => plan.Expert[i] >= 0).Select(i => $"{name(plan.Expert[i])}:{plan.Slot[i]}").Order(StringComparer.Ordinal));
        for (var t = 0; t < asked.Tokens; t++)
            if (Row(before, t, e => renamed[e]) != Row(after, t, e => e)) return $"token {t}: {Row(before, t, e => renamed[e])} became {Row(after, t, e => e)}";
        return null;
    });

    public static IReadOnlyList<DialectLaw> All { get; } =
    [
        IdsAreExperts, CapacityHolds, SlotsAreDistinct, NobodyIsDroppedForNothing, DropsFollowTheOrder, DropsFollowTheScore, BestTokensAreTaken, PlanIsAFunction, GroupsAreApart,
        PaddingTakesNothing, PaddingIsInvisible, EvaluationRepeats, ExpertsHaveNoNames,
    ];

    static IEnumerable<IGrouping<(int Group, int Expert), int>> Requests(RoutingPlan plan) =>
        Enumerable.Range(0, plan.Expert.Length).Where(i => plan.Expert[i] >= 0).GroupBy(i => (i / plan.Choices / (plan.Tokens / plan.Groups), plan.Expert[i]));

    static IEnumerable<IGrouping<(int Group, int Expert), int>> Kept(RoutingPlan plan) =>
        Enumerable.Range(0, plan.Expert.Length).Where(i => plan.Expert[i] >= 0 && plan.Slot[i] >= 0).GroupBy(i => (i / plan.Choices / (plan.Tokens / plan.Groups), plan.Expert[i]));
}
