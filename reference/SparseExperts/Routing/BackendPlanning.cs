using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>
/// Which calls a backend plans by itself, and how. A dialect's rule is a <see cref="PlanRule"/> where every token takes its best experts by one ranking and
/// experts serve in a fixed order, or where experts take their best tokens; whatever looks at more than that is planned by the host.
/// </summary>
public static class BackendPlanning
{
    /// <summary>Experts that may choose on a backend: its plan has a choice of every token for each of them, and layers go over all choices.</summary>
    const int MostThatChoose = 32;

    /// <summary>The rule of a call that its backend plans by; null where the host plans.</summary>
    internal static PlanRule? RuleOf(Tape tape, RouterCall call)
    {
        if (tape.Backend.Routing is not { } routing || call.Plan is not null) return null;
        if ((HostReason(call) ?? ReasonOfBatch(tape.Shards is not null, call.TokenMask.Length > 0)) is not null) return null;
        var d = call.Dialect;
        var capacity = CapacityRule.Capacity(call, default);
        if (d.Selection == Selection.ExpertChoice) return OfExperts(call, capacity) is { } byExperts && routing.Plans(byExperts) ? byExperts : null;
        var rule = new PlanRule(call.Groups, call.Size, call.Experts, d.K, capacity)
        {
            ChoiceMajor = d.Order == RequestOrder.ChoiceMajor,
            ZeroesTaken = d.K > 1 && d.Taken == Taken.Zeroed,
            Later = LaterOf(d),
        };
        if (d.Groups > d.GroupsKept)
        {
            rule = rule with
            {
                ExpertGroups = d.Groups,
                ExpertGroupsKept = d.GroupsKept,
                BestOfGroup = Math.Max(1, d.GroupScore.Count),
                LeftOut = d.GroupMask switch
                {
                    GroupMask.Zero => 0,
                    GroupMask.MinusInfinity => double.NegativeInfinity,
                    var other => throw new RoutingException($"{call.Where}: unknown group mask {other}"),
                },
            };
        }
        return routing.Plans(rule) ? rule : null;
    }

    /// <summary>Where experts choose; null where the host refuses the capacity.</summary>
    static PlanRule? OfExperts(RouterCall call, int capacity) =>
        capacity < 1 || capacity > call.Size ? null
        : new PlanRule(call.Groups, call.Size, call.Experts, call.Experts, capacity)
        {
            ByExperts = true,
            SlotsByToken = call.Dialect.SlotOrder == SlotOrder.TokenAmongKept,
        };

    /// <summary>The policy as a test.</summary>
    static LaterTest LaterOf(Dialect d)
    {
        if (d.K == 1 || d.Policy == Policy.All) return default;
        if (d.Policy == Policy.None) return new(LaterKind.None);
        var divisor = d.Normalize != Normalize.BeforeDrop || d.RandomTest == RandomTest.TwiceRaw ? LaterDivisor.None : d.NormalizeGuard switch
        {
            NormalizeGuard.Added => LaterDivisor.SumAndEpsilon,
            NormalizeGuard.AtLeast => LaterDivisor.SumOrEpsilon,
            NormalizeGuard.None or NormalizeGuard.OneUnlessPositive => LaterDivisor.SumOrOne,
            var other => throw new RoutingException($"{d.Name}: unknown guard {other}"),
        };
        if (d.Policy == Policy.Threshold) return new(LaterKind.Above, 1, (float)d.Threshold, divisor, d.NormalizeEpsilon);
        var kind = d.RandomTest == RandomTest.NotBelow ? LaterKind.NotBelowDraw : LaterKind.AboveDraw;
        return new(kind, PolicyTest.Factor(d), 0, divisor, d.NormalizeEpsilon);
    }

    /// <summary>Why the host plans this dialect on every backend; null where a backend may.</summary>
    /// <param name="drops">Whether experts have dropout.</param>
    public static string? HostReason(Dialect dialect, int experts, bool training, bool drops = false) =>
        HostReason(new() { Dialect = dialect, Groups = 1, Size = 1, Experts = experts, Training = training, DropsByChoice = drops });

    /// <summary>Why the host plans a batch whatever its dialect is; null where a backend may.</summary>
    /// <param name="inParts">It comes in micro-batches or shards, one after the other.</param>
    public static string? ReasonOfBatch(bool inParts, bool hasPadding) => inParts ? "a step has several micro-batches" : hasPadding ? "there is padding" : null;

    static string? HostReason(RouterCall call) => PlannedAxes.Unknown(call.Dialect)
        ?? (call.Dialect.Selection == Selection.ExpertChoice ? ReasonOfExperts(call) : ReasonOfChoices(call))
        ?? ReasonOfGates(call) ?? ReasonOfSlots(call.Dialect);

    /// <summary>The plan of a backend has more choices a token than the host's, all but the first of them none: nothing may count them.</summary>
    static string? ReasonOfExperts(RouterCall call)
    {
        var d = call.Dialect;
        if (call.Experts > MostThatChoose) return $"more than {MostThatChoose} experts that choose";
        if (call.DropsByChoice) return "dropout where experts choose";
        if (d.ForceBalance) return "forced balance";
        if (d.CorrectionBias) return "a bias where experts choose";
        if (d.Ties is not (TieRule.Lowest or TieRule.Unspecified)) return $"ties {d.Ties}";
        if (call.HeldExperts < call.Experts) return "experts without matrices";
        if (d.Score == Score.SoftmaxPost) return $"score {d.Score} where experts choose";
        return d.Normalize == Normalize.None ? null : $"normalize {d.Normalize} where experts choose";
    }

    static string? ReasonOfChoices(RouterCall call)
    {
        var d = call.Dialect;
        if (d.Selection != Selection.TopK) return $"selection {d.Selection}";
        if (d.ForceBalance) return "forced balance";
        if (d.Ties is not (TieRule.Lowest or TieRule.Unspecified)) return $"ties {d.Ties}";
        if (call.HeldExperts < call.Experts) return "experts without matrices";
        if (d.BiasOfImages) return "a bias of images";
        if (call.Training && d.SecondPlaceProbability > 0) return "second places";
        if (d.RouterPolicy == RouterPolicy.Sample && d.Temperature > 0 && !d.JitterAlone) return $"router policy {d.RouterPolicy}";
        if (d.RouterPolicy == RouterPolicy.GumbelLogits && call.Is(d.RouterPolicyPhase)) return $"router policy {d.RouterPolicy}";
        if (d.K == 1) return null;
        if ((d.LaterBy ?? d.SelectBy) != d.SelectBy) return $"later choices by {d.LaterBy}";        // a ranking of their own, without bias and groups
        if (d.Policy == Policy.Entropy) return $"policy {d.Policy}";
        var comesApart = d.Taken == Taken.Zeroed || d.Policy != Policy.All;         // choices that count from choices that are requests
        if (comesApart && d.Score == Score.SoftmaxPost) return $"score {d.Score} with later choices that need not count";
        return d.Policy == Policy.Sample ? $"policy {d.Policy}" : null;
    }

    static string? ReasonOfGates(RouterCall call)
    {
        var d = call.Dialect;
        if (d.Gate != Gate.Score) return $"gate {d.Gate}";
        if (d.SecondPlaceLoss) return "a loss of second choices";
        var countsCandidates = d.BalanceCount == BalanceCount.Candidates && (d.Selection == Selection.ExpertChoice || d.K > 1 && d.Policy != Policy.All);
        var countsTwice = d.BalanceCount is BalanceCount.Candidates or BalanceCount.AllChoices && d.K > 1 && d.Taken == Taken.Zeroed;
        if (countsCandidates || countsTwice) return $"balance count {d.BalanceCount}";
        if (d.Combination == Combination.MaskReadAsIndices) return $"combination {d.Combination}";
        if (d.SharedInGates) return "shared experts in the gates";
        if (d.SharedChoices > 0) return "shared experts as choices";
        if (d.StraightThrough) return "a straight-through gate";
        return d.ExpertScale ? "a scale for every expert" : null;
    }

    static string? ReasonOfSlots(Dialect d)
    {
        if (d.DroppedOutput != DroppedOutput.Zero) return $"dropped output {d.DroppedOutput}";
        if (d.BatchPrioritized) return "batch priority";                           // it numbers slots also where nobody is dropped
        if (CapacityRule.IsUnlimited(d)) return null;
        if (d.DropPolicy != DropPolicy.Position) return $"drop policy {d.DropPolicy}";
        var looksAtLoads = d.CapacityFormula is CapacityFormula.LargestLoad or CapacityFormula.UnlessZero or CapacityFormula.ChoicesTimesWholeShare;
        return looksAtLoads ? $"capacity {d.CapacityFormula}" : null;
    }

    /// <summary>What the rule ranks [T, E].</summary>
    static Tensor Ranked(RouterCall call, Tensor noisy, Tensor scores) => call.Dialect.SelectBy switch
    {
        SelectBy.Logits => noisy,
        SelectBy.Scores => scores,
        var other => throw new RoutingException($"{call.Where}: unknown ranking by {other}"),
    };

    /// <summary>The plan and the gates as they are applied [T, K], without a look at them.</summary>
    /// <param name="noisy">Logits that the scores are made from [T, E].</param>
    internal static (PlanHandle Plan, Tensor Gates) Route(Tape tape, RouterCall call, in PlanRule rule, Tensor noisy, Tensor scores, RouterWeights router)
    {
        RouterDraws.Require(call);
        var ranked = rule.ByExperts ? scores : Ranked(call, noisy, scores);
        var from = new PlanInputs(ranked.Value, call.Dialect.CorrectionBias ? router.BiasOnBackend : null)
        {
            Scores = rule.Later.Kind == LaterKind.All ? null : scores.Value,
            Draws = rule.Later.Draws ? tape.PlanConstant(call.Tokens, rule.Choices, PolicyDraws(call, rule.Choices)).Value : null,
        };
        var handle = PlanHandle.Make(tape, rule, from, faults => RouterNumbers.RefuseNaN(call.Where, faults));
        var indices = new PlanIndices(tape, handle);
        var source = call.Dialect.Score == Score.SoftmaxPost ? noisy : scores;
        var drops = !rule.ByExperts && (rule.Drops || rule.Later.Kind != LaterKind.All);
        var isDivided = call.Dialect.Score == Score.SoftmaxPost || Gates.AreDivided(call, rule.Choices);
        var gates = tape.ChosenGates(source, indices, drops && !isDivided);                         // [T, K]
        if (call.Dialect.Score == Score.SoftmaxPost) gates = tape.Softmax(gates);
        gates = Gates.Divided(tape, call, gates, rule.Choices, null);
        if (drops && isDivided) gates = tape.Multiply(gates, tape.KeptChoices(indices));
        return (handle, Gates.Finished(tape, call, gates, router, null));
    }

    /// <summary>The policy's uniforms of every choice [T, K]; first choices need none.</summary>
    static float[] PolicyDraws(RouterCall call, int choices)
    {
        var draws = new float[call.Tokens * choices];
        for (var i = 0; i < draws.Length; i++)
            if (i % choices > 0) draws[i] = (float)call.Draws.PolicyOf(i / choices, i % choices, choices);
        return draws;
    }

    /// <summary>
    /// Requests of every (group, expert) by a top-k of its own over <paramref name="numbers"/> [T, E]; null where the host counts.
    /// </summary>
    internal static Indices? FreshTopK(Tape tape, RouterCall call, Tensor numbers)
    {
        var d = call.Dialect;
        if (tape.Backend.Routing is not { } routing || tape.Shards is not null || call.TokenMask.Length > 0) return null;
        if (d.Ties is not (TieRule.Lowest or TieRule.Unspecified)) return null;
        var rule = new PlanRule(call.Groups, call.Size, call.Experts, Math.Min(d.K, call.Experts), RoutingPlan.Unlimited);
        return routing.Plans(rule) ? AllOf(tape.PlanOnBackend(rule, new(numbers.Value)).Asked) : null;
    }

    /// <summary>First choices of every (group, expert), dropped or not.</summary>
    internal static Indices FirstOf(Indices asked) => asked with { Count = asked.Count / 2 };

    /// <summary>Choices of every (group, expert), dropped or not.</summary>
    internal static Indices AllOf(Indices asked) => new(asked.Storage, asked.Offset + asked.Count / 2, asked.Count / 2);
}
