using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>One question to a planner: a rule, numbers [T, E], perhaps a bias [E], and draws for later choices [T, K].</summary>
public sealed record PlanCase(PlanRule Rule, float[] Scores, float[] Bias, float[] Draws)
{
    static readonly int[] Sizes = [1, 2, 7, 32, 33, 70], Experts = [2, 3, 4, 8, 24, 33, 64, 128, 512];
    const int MostThatChoose = 33;
    static readonly float[] Grid = [-0.0f, 0, 0.25f, 0.5f, 0.5f, 1, -1, 1.0000001f];

    /// <summary>Numbers on a coarse grid, so that ties are everywhere, some of them infinite, seldom one NaN.</summary>
    public static PlanCase Drawn(int seed)
    {
        var random = new Random(seed);
        T Of<T>(params T[] values) => values[random.Next(values.Length)];
        int groups = random.Next(1, 4), size = Of(Sizes), experts = Of(Experts), choices = random.Next(1, Math.Min(8, experts) + 1);
        var capacity = Of(0, 1, 2, size * choices / experts + 1, size, RoutingPlan.Unlimited);
        var rule = new PlanRule(groups, size, experts, choices, capacity) { ChoiceMajor = Of(true, false) };
        var parts = Of(1, 1, 2, 4, 8);
        if (experts % parts == 0 && parts > 1 && experts > parts)
        {
            var (kept, best, leftOut) = (random.Next(1, parts), random.Next(1, 4), Of(0, double.NegativeInfinity));
            rule = rule with { ExpertGroups = parts, ExpertGroupsKept = kept, BestOfGroup = best, LeftOut = leftOut };
        }
        // The sum of both infinities is NaN, which no order ranks.
        float[] infinities = random.Next(2) == 0 ? [] : rule.ExpertGroups == 1 ? [float.PositiveInfinity, float.NegativeInfinity] : [float.NegativeInfinity];
        var scores = new float[rule.Tokens * experts];
        for (var i = 0; i < scores.Length; i++)
            scores[i] = infinities.Length > 0 && random.Next(6) == 0 ? Of(infinities) : random.Next(3) > 0 ? Of(Grid) : (float)random.NextDouble();
        if (random.Next(12) == 0) scores[random.Next(scores.Length)] = float.NaN;
        float[] drawn = [.. Enumerable.Range(0, experts).Select(_ => Of(0, 0.5f, -0.25f, (float)random.NextDouble()))];
        float[] bias = infinities.Length == 0 && random.Next(2) == 0 ? drawn : [];
        if (experts <= MostThatChoose && random.Next(3) == 0)
        {
            var takes = Of(1, size, random.Next(1, size + 1), Math.Min(size, size * choices / experts + 1));
            return new(new(groups, size, experts, experts, takes) { ByExperts = true, SlotsByToken = Of(true, false) }, scores, [], []);
        }
        rule = rule with { ZeroesTaken = choices > 1 && Of(true, false), Later = Of(default, Test()) };
        LaterTest Test() => new LaterTest(Of(Enum.GetValues<LaterKind>()), 1, Of(0, 0.25f, 0.5f), Of(Enum.GetValues<LaterDivisor>()), Of(1e-9, 0.5)) is var test
            ? test with { Factor = test.Kind == LaterKind.AboveDraw ? Of(2.0, 5.0) : test.Kind == LaterKind.NotBelowDraw ? 2 : 1 }
            : default;
        return new(rule, scores, bias, [.. Enumerable.Range(0, rule.Tokens * choices).Select(_ => Of(0.5f, 0.25f, (float)random.NextDouble()))]);
    }

    public override string ToString() => $"{Rule}, {(Bias.Length > 0 ? "with" : "without")} bias";
}

/// <summary>What a backend plans is what the host's engine plans, as integers.</summary>
public static class PlanLaws
{
    /// <summary>What differs, or null.</summary>
    public static string? Differs(IBackend backend, PlanCase asked)
    {
        var rule = asked.Rule;
        if (backend.Routing is not { } routing || !routing.Plans(rule)) return "the backend does not plan by this rule";
        var scores = backend.Rent(rule.Tokens, rule.Experts);
        backend.Write(scores, asked.Scores);
        Matrix? bias = null;
        if (asked.Bias.Length > 0)
        {
            bias = backend.Rent(1, rule.Experts);
            backend.Write(bias.Value, asked.Bias);
        }
        Matrix? draws = null;
        if (rule.Later.Draws)
        {
            draws = backend.Rent(rule.Tokens, rule.Choices);
            backend.Write(draws.Value, asked.Draws);
        }
        var arrays = PlanArrays.In(backend.Rent(ElementType.Integer, PlanArrays.Length(rule)), rule);
        routing.Plan(rule, new(scores, bias) { Draws = draws }, arrays);
        try
        {
            var faults = backend.ToArray(arrays.Fault);
            int FirstNaN(int token) => Array.FindIndex(asked.Scores[(token * rule.Experts)..((token + 1) * rule.Experts)], float.IsNaN);
            int[] first = [.. Enumerable.Range(0, rule.Tokens).Select(FirstNaN)];
            if (Unequal("fault", first, faults) is { } fault) return fault;
            if (faults.Any(f => f >= 0)) return Refuses(asked) ? null : "the host plans and the backend finds a fault";
            var (plan, choices) = (Host(asked, out var made), made);
            if (rule.ByExperts) plan = WithChoicesOfAll(plan);
            int[] ByChoice(int[] byToken) => [.. Enumerable.Range(0, byToken.Length).Select(i => byToken[i % rule.Tokens * rule.Choices + i / rule.Tokens])];
            int[] Padded(int[] rows) => [.. rows, .. Enumerable.Repeat(-1, rule.Rows - rows.Length)];
            return Unequal("expert", ByChoice(plan.Expert), backend.ToArray(arrays.Expert))
                ?? Unequal("slot", ByChoice(plan.Slot), backend.ToArray(arrays.Slot))
                ?? Unequal("row", ByChoice(plan.RowOf), backend.ToArray(arrays.Row))
                ?? Unequal("offset", plan.Offsets, backend.ToArray(arrays.Offsets))
                ?? Unequal("token of row", Padded(plan.TokenOfRow), backend.ToArray(arrays.TokenOfRow))
                ?? Unequal("choice of row", Padded(plan.ChoiceOfRow), backend.ToArray(arrays.ChoiceOfRow))
                ?? Unequal("asked", Asked(rule, choices), backend.ToArray(arrays.Asked))
                ?? Unequal("counted", ByChoice(rule.ByExperts ? plan.Expert : Counted(rule, choices)), backend.ToArray(arrays.Counted));
        }
        finally
        {
            foreach (var storage in new[] { scores.Storage, arrays.Expert.Storage, bias?.Storage, draws?.Storage }.OfType<Storage>()) backend.Return(storage);
        }
    }

    /// <summary>The integers of the host's engine.</summary>
    public static RoutingPlan Host(PlanCase asked, out Choices choices)
    {
        var (rule, numbers) = (asked.Rule, Array.ConvertAll(asked.Scores, s => (double)s));
        var call = new RouterCall
        {
            Dialect = new()
            {
                Name = "law",
                Summary = "a rule as a dialect",
                Source = "PlanRule",
                Evidence = Evidence.Paper,
                Parameters = [],
                Selection = rule.ByExperts ? Selection.ExpertChoice : Selection.TopK,
                SlotOrder = rule.SlotsByToken ? SlotOrder.TokenAmongKept : SlotOrder.Descending,
                K = rule.Choices,
                Taken = rule.ZeroesTaken ? Taken.Zeroed : Taken.Removed,
                Policy = rule.Later.Kind switch
                {
                    LaterKind.All => Policy.All,
                    LaterKind.None => Policy.None,
                    LaterKind.Above => Policy.Threshold,
                    _ => Policy.Random,
                },
                Threshold = rule.Later.Draws ? 1 / rule.Later.Factor : rule.Later.Threshold,
                RandomTest = rule.Later.Kind == LaterKind.NotBelowDraw ? RandomTest.NotBelow
                    : rule.Later.Factor == 2 ? RandomTest.Twice
                    : RandomTest.OverThreshold,
                Normalize = rule.Later.Divisor == LaterDivisor.None ? Normalize.None : Normalize.BeforeDrop,
                NormalizeGuard = rule.Later.Divisor switch
                {
                    LaterDivisor.SumAndEpsilon => NormalizeGuard.Added,
                    LaterDivisor.SumOrEpsilon => NormalizeGuard.AtLeast,
                    _ => NormalizeGuard.None,
                },
                NormalizeEpsilon = rule.Later.Epsilon,
                CapacityFormula = rule.Capacity == RoutingPlan.Unlimited ? CapacityFormula.None : CapacityFormula.Given,
                Capacity = rule.Capacity == RoutingPlan.Unlimited ? null : rule.Capacity,
                Order = rule.ChoiceMajor ? RequestOrder.ChoiceMajor : RequestOrder.TokenMajor,
                Groups = rule.ExpertGroups,
                GroupsKept = rule.ExpertGroupsKept,
                GroupScore = new(rule.BestOfGroup),
                GroupMask = rule.LeftOut == 0 ? GroupMask.Zero : GroupMask.MinusInfinity,
            },
            Groups = rule.Groups,
            Size = rule.Size,
            Experts = rule.Experts,
            Training = true,
            Draws = new() { Policy = rule.Later.Draws ? asked.Draws : null },
        };
        var clean = new Numbers(numbers);
        var known = new RouterNumbers { Logits = clean, Noisy = clean, Scores = clean, CorrectionBias = Array.ConvertAll(asked.Bias, b => (double)b) };
        (choices, var capacity) = RoutedLayer.Choose(call, known, Substitution.None);
        return RoutedLayer.Assign(call, new(known, choices, capacity, clean));
    }

    static bool Refuses(PlanCase asked)
    {
        try
        {
            Host(asked, out _);
            return false;
        }
        catch (RoutingException)
        {
            return true;
        }
    }

    static int[] Asked(PlanRule rule, Choices choices)
    {
        var asked = new int[2 * rule.Groups * rule.Experts];
        for (var i = 0; i < choices.Expert.Length; i++)
        {
            if (choices.Expert[i] < 0) continue;
            var at = i / choices.K / rule.Size * rule.Experts + choices.Expert[i];
            if (i % choices.K == 0) asked[at]++;
            asked[rule.Groups * rule.Experts + at]++;
        }
        return asked;
    }

    /// <summary>The same plan with a choice of every token for every expert, the further ones none.</summary>
    static RoutingPlan WithChoicesOfAll(RoutingPlan plan)
    {
        int[] expert = new int[plan.Tokens * plan.Experts], slot = new int[expert.Length];
        Array.Fill(expert, -1);
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var i = 0; i < plan.Expert.Length; i++)
        {
            var to = i / plan.Choices * plan.Experts + i % plan.Choices;
            (expert[to], slot[to]) = (plan.Expert[i], plan.Slot[i]);
        }
        return new(plan.Experts, plan.Groups, plan.Experts, plan.Capacity, expert, slot);
    }

    /// <summary>Candidates; one that came before with its number set to 0 counts for nothing.</summary>
    static int[] Counted(PlanRule rule, Choices choices)
    {
        var counted = (int[])choices.Candidate.Clone();
        for (var i = 0; i < counted.Length; i++)
        {
            var first = i / rule.Choices * rule.Choices;
            if (rule.ZeroesTaken && choices.Candidate.AsSpan(first, i - first).Contains(choices.Candidate[i])) counted[i] = -1;
        }
        return counted;
    }

    static string? Unequal(string what, int[] host, int[] backend)
    {
        for (var i = 0; i < host.Length; i++)
            if (host[i] != backend[i]) return $"{what} {i} is {backend[i]}, the host has {host[i]}";
        return null;
    }
}
