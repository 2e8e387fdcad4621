using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>Laws that every dialect keeps, or the ones among them that its axes promise: first who promises what, then the laws.</summary>
public static class DialectLaws
{
    /// <summary>Dialects whose whole decision is a plan from one matrix of scores.</summary>
    public static bool HasPlan(Dialect d) => d.Selection is not (Selection.SlotMixture or Selection.TwoLevel or Selection.TwoLevelCapacity);

    static bool HasCapacity(Dialect d) => HasPlan(d) && d.CapacityFormula is not (CapacityFormula.None or CapacityFormula.UnlessZero);

    static bool SharesSlots(Dialect d) => d.DroppedOutput is DroppedOutput.SharedSlot or DroppedOutput.CollidingSlot;

    static bool BoundsExperts(Dialect d) => HasCapacity(d) && !SharesSlots(d);

    static bool HasOwnSlots(Dialect d) => HasPlan(d) && !SharesSlots(d);

    /// <summary>Old DeepSpeed loses requests to those who did not ask; a score of exactly 0 can do so elsewhere, and the cases have none.</summary>
    static bool DropsForCapacityAlone(Dialect d) => HasOwnSlots(d) && d.DropPolicy != DropPolicy.Logit;

    static bool DropsByPlace(Dialect d) =>
        BoundsExperts(d)
        && d is { DropPolicy: DropPolicy.Position, BatchPrioritized: false }
        && d.Selection is Selection.TopK or Selection.Cascade or Selection.ExhaustionAware or Selection.OnePerPrototype or Selection.BestPartThenTopK;

    static bool DropsByScore(Dialect d) => HasCapacity(d) && d.DropPolicy == DropPolicy.Score;

    static bool LetsExpertsChoose(Dialect d) =>
        HasPlan(d)
        && d.Selection == Selection.ExpertChoice
        && d.Padding is PaddingRule.Routed or PaddingRule.ScoresZeroed
        && d.IgnorePadding != true;

    static bool RoutesGroupsApart(Dialect d) =>
        HasPlan(d)
        && d.Selection is not (Selection.Sinkhorn or Selection.Batchwise or Selection.Random or Selection.DynamicTopK);

    static bool SkipsPadding(Dialect d) =>
        HasPlan(d)
        && d.Padding == PaddingRule.Skipped
        && d.IgnorePadding != false
        && d.DroppedOutput != DroppedOutput.SharedSlot;

    /// <summary>Neither places in the batch nor random numbers, which padding shifts, decide.</summary>
    static bool HidesPadding(Dialect d) =>
        SkipsPadding(d)
        && d.Selection != Selection.Batchwise
        && d.DropPolicy != DropPolicy.Random
        && !d.IsRandom(true);

    static bool EvaluatesWithoutChance(Dialect d) =>
        HasPlan(d)
        && !d.IsRandom(false)
        && d.Selection is not (Selection.Batchwise or Selection.BinaryCode);

    /// <summary>Equal scores do not decide and experts have no places of their own.</summary>
    static bool TreatsExpertsAlike(Dialect d) =>
        HasPlan(d)
        && d.Selection is Selection.TopK or Selection.ExpertChoice or Selection.Cascade
            or Selection.PositiveScores or Selection.All or Selection.OptimalTransport
        && d.Noise == LogitNoise.None
        && d.RouterPolicy is not (RouterPolicy.Sample or RouterPolicy.GumbelLogits)
        && d.Policy != Policy.Sample
        && d.DropPolicy != DropPolicy.Random
        && !d.ForceBalance
        && d.Groups == 1
        && d.NullExperts == 0;

    public static RoutingPlan Engine(Dialect dialect, RouterCall call, DialectCase asked) => RouterFromScores.Plan(call, asked.Scores);

    /// <summary>The call that a case stands for; capacity is the case's where the dialect has one.</summary>
    public static RouterCall Call(Dialect d, DialectCase asked, int? capacity = null)
    {
        var sharesAll = d.Selection is Selection.Batchwise or Selection.Auction or Selection.OptimalAssignment;
        var isBatch = d.Selection == Selection.Batchwise;
        var call = new RouterCall
        {
            Dialect = HasCapacity(d) && !sharesAll ? d with { Capacity = Math.Min(capacity ?? asked.Capacity, asked.Size) } : d,
            Groups = isBatch ? 1 : asked.Groups,
            Size = isBatch ? asked.Tokens : asked.Size,
            Experts = asked.Experts,
            Training = true,
            TokenMask = asked.TokenMask,
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
        var mayRepeat = d.Taken != Taken.Removed || d.Selection == Selection.ExhaustionAware;
        for (var t = 0; t < plan.Tokens; t++)
        {
            int[] chosen = [.. plan.Expert.AsSpan(t * plan.Choices, plan.Choices).ToArray().Where(e => e >= 0)];
            if (chosen.Any(e => e >= asked.Experts)) return $"token {t} chose {chosen.Max()}";
            if (!mayRepeat && chosen.Distinct().Count() != chosen.Length) return $"token {t} chose an expert twice";
        }
        return null;
    });

    public static DialectLaw CapacityHolds { get; } = new("No_expert_takes_more_than_its_capacity", BoundsExperts, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        foreach (var kept in Kept(plan))
            if (kept.Count() > plan.Capacity) return $"{Name(kept)} took {kept.Count()} with {plan.Capacity} slots";
        return null;
    });

    public static DialectLaw SlotsAreDistinct { get; } = new("Slots_count_up_from_zero_without_gaps", HasOwnSlots, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        foreach (var kept in Kept(plan))
        {
            int[] slots = [.. kept.Select(i => plan.Slot[i])];
            if (!slots.Order().SequenceEqual(Enumerable.Range(0, slots.Length))) return $"{Name(kept)} has slots {string.Join(" ", slots)}";
        }
        return null;
    });

    public static DialectLaw NobodyIsDroppedForNothing { get; } = new("A_request_is_dropped_only_when_its_expert_is_full", DropsForCapacityAlone, Wasted);

    public static DialectLaw DropsFollowTheOrder { get; } = new("Who_comes_first_in_the_stated_order_stays", DropsByPlace, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        int Place(int i) => d.Order == RequestOrder.TokenMajor ? i : i % plan.Choices * plan.Tokens + i / plan.Choices;
        foreach (var requests in Requests(plan))
        {
            var firstDropped = requests.Where(i => plan.Slot[i] < 0).Select(Place).DefaultIfEmpty(int.MaxValue).Min();
            var lastKept = requests.Where(i => plan.Slot[i] >= 0).Select(Place).DefaultIfEmpty(-1).Max();
            if (firstDropped < lastKept) return $"expert {requests.Key.Expert} dropped an earlier request and kept a later one";
        }
        return null;
    });

    public static DialectLaw DropsFollowTheScore { get; } = new("Who_has_the_larger_score_stays", DropsByScore, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        float Score(int i) => asked.Scores[i / plan.Choices * asked.Experts + plan.Expert[i]];
        foreach (var requests in Requests(plan))
        {
            var bestDropped = requests.Where(i => plan.Slot[i] < 0).Select(Score).DefaultIfEmpty(float.NegativeInfinity).Max();
            var worstKept = requests.Where(i => plan.Slot[i] >= 0).Select(Score).DefaultIfEmpty(float.PositiveInfinity).Min();
            if (bestDropped > worstKept) return $"expert {requests.Key.Expert} dropped a larger score and kept a smaller one";
        }
        return null;
    });

    public static DialectLaw BestTokensAreTaken { get; } = new("Each_expert_takes_its_best_tokens", LetsExpertsChoose, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        foreach (var taken in Kept(plan))
        {
            float Score(int t) => asked.Scores[t * asked.Experts + taken.Key.Expert];
            var tokens = taken.Select(i => i / plan.Choices).ToHashSet();
            var others = Enumerable.Range(taken.Key.Group * asked.Size, asked.Size).Where(t => !tokens.Contains(t));
            if (tokens.Min(Score) < others.Select(Score).DefaultIfEmpty(0).Max()) return $"expert {taken.Key.Expert} left a better token out";
        }
        return null;
    });

    public static DialectLaw PlanIsAFunction { get; } = new("The_same_scores_and_draws_give_the_same_plan", HasPlan, (d, asked, router) =>
        Plan(d, asked, router).Describe() == Plan(d, asked, router).Describe() ? null : "two calls gave two plans");

    public static DialectLaw GroupsAreApart { get; } = new("Groups_do_not_touch_each_other", RoutesGroupsApart, (d, asked, router) =>
    {
        if (asked.Groups < 2) return null;
        var both = Plan(d, asked, router);
        var call = Call(d, asked);
        var alone = asked.First(asked.Size);
        float[]? Part(float[]? draws) => draws?[..(draws.Length / 2)];
        var first = router(d, call with
        {
            Groups = 1,
            TokenMask = alone.TokenMask,
            TokenIds = call.TokenIds[..asked.Size],
            TaskIds = call.TaskIds[..asked.Size],
            Draws = new()
            {
                Sample = Part(call.Draws.Sample),
                Noise = Part(call.Draws.Noise),
                UniformGumbel = Part(call.Draws.UniformGumbel),
                Policy = Part(call.Draws.Policy),
                Rts = Part(call.Draws.Rts),
            },
        }, alone);
        for (var t = 0; t < asked.Size; t++)
        {
            string beside = Chosen(both, t), single = Chosen(first, t);
            if (beside != single) return $"token {t} is {beside} beside another group, {single} alone";
        }
        return null;
    });

    public static DialectLaw PaddingTakesNothing { get; } = new("Padding_makes_no_choice_and_takes_no_slot", SkipsPadding, (d, asked, router) =>
    {
        var plan = Plan(d, asked, router);
        if (asked.TokenMask.Length == 0) return null;
        for (var i = 0; i < plan.Expert.Length; i++)
        {
            var token = i / plan.Choices;
            if (asked.TokenMask[token] == 0 && (plan.Expert[i] >= 0 || plan.Slot[i] >= 0)) return $"padding {token} chose {plan.Expert[i]}";
        }
        return null;
    });

    public static DialectLaw PaddingIsInvisible { get; } = new("Padding_changes_nothing_for_the_others", HidesPadding, (d, asked, router) =>
    {
        // One group, once with the padding and once without, the capacity being given.
        var one = asked.First(asked.Size);
        int[] real = [.. Enumerable.Range(0, one.Tokens).Where(t => one.TokenMask.Length == 0 || one.TokenMask[t] == 1)];
        if (real.Length == one.Tokens || real.Length == 0) return null;
        var without = one with { Scores = [.. real.SelectMany(t => one.Scores[(t * one.Experts)..((t + 1) * one.Experts)])], TokenMask = [] };
        var capacity = Math.Min(one.Capacity, real.Length);
        RoutingPlan padded = router(d, Call(d, one, capacity), one), bare = router(d, Call(d, without, capacity), without);
        for (var n = 0; n < real.Length; n++)
        {
            string beside = Row(padded, real[n]), single = Row(bare, n);
            if (beside != single) return $"token {real[n]} is {beside} beside padding, {single} without";
        }
        return null;
    });

    public static DialectLaw EvaluationRepeats { get; } = new("Evaluation_does_not_depend_on_chance", EvaluatesWithoutChance, (d, asked, router) =>
    {
        RouterCall Eval(ulong seed)
        {
            var call = Call(d, asked) with { Training = false };
            return call with { Draws = RouterDraws.From(call, new(new(seed), 2, 0), 1) };
        }
        return router(d, Eval(1), asked).Describe() == router(d, Eval(2), asked).Describe() ? null : "two draws gave two plans in evaluation";
    });

    public static DialectLaw ExpertsHaveNoNames { get; } = new("Permuting_the_experts_permutes_the_plan", TreatsExpertsAlike, (d, asked, router) =>
    {
        // Distinct scores, so that no tie rule is needed.
        var distinct = asked with { Scores = [.. asked.Scores.Select((s, i) => s + (i * 37 % asked.Scores.Length) / 65536f)] };
        int[] renamed = [.. Enumerable.Range(0, asked.Experts).Select(e => (e * 3 + 1) % asked.Experts)];
        var turned = new float[distinct.Scores.Length];
        for (var i = 0; i < turned.Length; i++) turned[i / asked.Experts * asked.Experts + renamed[i % asked.Experts]] = distinct.Scores[i];
        RoutingPlan before = Plan(d, distinct, router), after = Plan(d, distinct with { Scores = turned }, router);
        string Sorted(RoutingPlan plan, int t, Func<int, int> name) => string.Join(" ", ChoicesOf(plan, t)
            .Where(i => plan.Expert[i] >= 0)
            .Select(i => $"{name(plan.Expert[i])}:{plan.Slot[i]}")
            .Order(StringComparer.Ordinal));
        for (var t = 0; t < asked.Tokens; t++)
        {
            string expected = Sorted(before, t, e => renamed[e]), actual = Sorted(after, t, e => e);
            if (expected != actual) return $"token {t}: {expected} became {actual}";
        }
        return null;
    });

    /// <summary>An expert of a token is drawn, and scores that are equal prefer none.</summary>
    static bool DrawsExperts(Dialect d) => d.Selection is Selection.Random or Selection.PolicySample;

    public static DialectLaw ChanceIsFair { get; } = new("Drawn_experts_are_asked_equally_often", DrawsExperts, (d, asked, router) =>
    {
        const int each = 8192;          // 5 % are five standard deviations
        var many = new DialectCase(asked.Experts, 1, 1, new float[each * asked.Experts * asked.Experts], [], asked.Seed);
        var call = Call(d, many) with { Training = d.Selection == Selection.PolicySample };
        var plan = router(d, call with { Draws = RouterDraws.From(call, new(new((ulong)asked.Seed), 1, 0), 1) }, many);
        foreach (var requests in plan.Expert.Where(e => e >= 0).GroupBy(e => e))
            if (Math.Abs(requests.Count() - each) > each / 20) return $"expert {requests.Key} is drawn {requests.Count()} times of {many.Tokens}";
        return null;
    });

    public static IReadOnlyList<DialectLaw> All { get; } =
    [
        IdsAreExperts, CapacityHolds, SlotsAreDistinct, NobodyIsDroppedForNothing, DropsFollowTheOrder, DropsFollowTheScore, BestTokensAreTaken,
        PlanIsAFunction, GroupsAreApart, PaddingTakesNothing, PaddingIsInvisible, EvaluationRepeats, ExpertsHaveNoNames, ChanceIsFair,
    ];

    static string? Wasted(Dialect d, DialectCase asked, DialectRouter router)
    {
        var plan = Plan(d, asked, router);
        var kept = Kept(plan).ToDictionary(k => k.Key, k => k.Count());
        foreach (var requests in Requests(plan))
        {
            // The last ones may be nobody: who chooses them goes to no expert.
            if (requests.Key.Expert >= asked.Experts - d.NullExperts) continue;
            int taken = kept.GetValueOrDefault(requests.Key), wanted = requests.Count();
            if (taken != Math.Min(plan.Capacity, wanted)) return $"{Name(requests)} kept {taken} of {wanted}";
        }
        return null;
    }

    static IEnumerable<int> ChoicesOf(RoutingPlan plan, int token) => Enumerable.Range(token * plan.Choices, plan.Choices);

    /// <summary>Expert and slot of every choice of a token.</summary>
    static string Row(RoutingPlan plan, int token) => string.Join(" ", ChoicesOf(plan, token).Select(i => $"{plan.Expert[i]}:{plan.Slot[i]}"));

    /// <summary>The same without choices that were not made.</summary>
    static string Chosen(RoutingPlan plan, int token) =>
        string.Join(" ", ChoicesOf(plan, token).Where(i => plan.Expert[i] >= 0).Select(i => $"{plan.Expert[i]}:{plan.Slot[i]}"));

    static IEnumerable<IGrouping<(int Group, int Expert), int>> Requests(RoutingPlan plan) => Grouped(plan, i => plan.Expert[i] >= 0);

    static IEnumerable<IGrouping<(int Group, int Expert), int>> Kept(RoutingPlan plan) => Grouped(plan, i => plan.Expert[i] >= 0 && plan.Slot[i] >= 0);

    static IEnumerable<IGrouping<(int Group, int Expert), int>> Grouped(RoutingPlan plan, Func<int, bool> counts)
    {
        var size = plan.Tokens / plan.Groups;
        return Enumerable.Range(0, plan.Expert.Length).Where(counts).GroupBy(i => (i / plan.Choices / size, plan.Expert[i]));
    }

    static string Name(IGrouping<(int Group, int Expert), int> of) => $"expert {of.Key.Expert} of group {of.Key.Group}";
}
