using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>
/// Which calls a backend plans by itself, and how. A dialect's rule is a <see cref="PlanRule"/> where every token takes its best experts by one ranking and
/// experts serve in a fixed order; whatever looks at more than that is planned by the host.
/// </summary>
public static class BackendPlanning
{
    /// <summary>The rule of a call that its backend plans by; null where the host plans.</summary>
    internal static PlanRule? RuleOf(Tape tape, RouterCall call)
    {
        if (tape.Backend.Routing is not { } routing || tape.Shards is not null || call.Plan is not null || call.Importance.Length > 0) return null;
        if (HostReason(call) is not null) return null;
        var d = call.Dialect;
        var capacity = CapacityRule.Capacity(call, default);
        var rule = new PlanRule(call.Groups, call.Size, call.Experts, d.K, capacity) { ChoiceMajor = d.Order == RequestOrder.ChoiceMajor };
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

    /// <summary>Why the host plans this dialect on every backend; null where a backend may.</summary>
    public static string? HostReason(Dialect dialect, bool training) =>
        HostReason(new() { Dialect = dialect, Groups = 1, Size = 1, Experts = 1, Training = training });

    static string? HostReason(RouterCall call) => ReasonOfChoices(call) ?? ReasonOfGates(call.Dialect) ?? ReasonOfSlots(call.Dialect);

    static string? ReasonOfChoices(RouterCall call)
    {
        var d = call.Dialect;
        if (d.Selection != Selection.TopK) return $"selection {d.Selection}";
        if (d.ForceBalance) return "forced balance";
        if (d.Ties is not (TieRule.Lowest or TieRule.Unspecified)) return $"ties {d.Ties}";
        if (call.HeldExperts < call.Experts) return "experts without matrices";
        if (call.Training && d.SecondPlaceProbability > 0) return "second places";
        if (d.RouterPolicy == RouterPolicy.Sample && d.Temperature > 0 && !d.JitterAlone) return $"router policy {d.RouterPolicy}";
        if (d.RouterPolicy == RouterPolicy.GumbelLogits && call.Is(d.RouterPolicyPhase)) return $"router policy {d.RouterPolicy}";
        if (d.K == 1) return null;
        if (d.Taken != Taken.Removed) return $"a chosen expert is {d.Taken}";
        if (d.Policy != Policy.All) return $"policy {d.Policy}";
        var later = d.LaterBy ?? d.SelectBy;
        return later == d.SelectBy || later == SelectBy.Scores && ScoresAreLogits(call) ? null : $"later choices by {later}";
    }

    static string? ReasonOfGates(Dialect d)
    {
        if (d.Gate != Gate.Score) return $"gate {d.Gate}";
        if (d.NormalizeGuard == NormalizeGuard.OneUnlessPositive || d.LateNormalizeGuard == NormalizeGuard.OneUnlessPositive)
            return $"normalize guard {NormalizeGuard.OneUnlessPositive}";
        if (d.Combination == Combination.MaskReadAsIndices) return $"combination {d.Combination}";
        if (d.SharedInGates) return "shared experts in the gates";
        if (d.StraightThrough) return "a straight-through gate";
        return d.ExpertScale ? "a scale for every expert" : null;
    }

    static string? ReasonOfSlots(Dialect d)
    {
        if (d.DroppedOutput != DroppedOutput.Zero) return $"dropped output {d.DroppedOutput}";
        if (d.CapacityFormula == CapacityFormula.None) return null;
        if (d.BatchPrioritized) return "batch priority";
        if (d.DropPolicy != DropPolicy.Position) return $"drop policy {d.DropPolicy}";
        var looksAtLoads = d.CapacityFormula is CapacityFormula.LargestLoad or CapacityFormula.UnlessZero or CapacityFormula.ChoicesTimesWholeShare;
        return looksAtLoads ? $"capacity {d.CapacityFormula}" : null;
    }

    /// <summary>Whether scores are the logits that they come from, in the same format.</summary>
    static bool ScoresAreLogits(RouterCall call) =>
        call.Dialect.Score is Score.SoftmaxPost or Score.None && (call.Dialect.ScoreDtype ?? call.ScoreFormat) == NumberFormat.Float32;

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
        var handle = PlanHandle.Make(tape, rule, Ranked(call, noisy, scores).Value, call.Dialect.CorrectionBias ? router.BiasOnBackend : null,
            faults => RouterNumbers.RefuseNaN(call.Where, faults));
        var indices = new PlanIndices(tape, handle);
        var source = call.Dialect.Score == Score.SoftmaxPost ? noisy : scores;
        var isDivided = call.Dialect.Score == Score.SoftmaxPost || Gates.AreDivided(call, rule.Choices);
        var gates = tape.ChosenGates(source, indices, rule.Drops && !isDivided);                    // [T, K]
        if (call.Dialect.Score == Score.SoftmaxPost) gates = tape.Softmax(gates);
        gates = Gates.Divided(tape, call, gates, rule.Choices, null);
        if (rule.Drops && isDivided) gates = tape.Multiply(gates, tape.KeptChoices(indices));
        return (handle, Gates.Finished(tape, call, gates, router, null));
    }

    /// <summary>
    /// Requests of every (group, expert) by a top-k of its own over <paramref name="numbers"/> [T, E]; null where the host counts.
    /// </summary>
    internal static Indices? FreshTopK(Tape tape, RouterCall call, Tensor numbers)
    {
        var d = call.Dialect;
        if (tape.Backend.Routing is not { } routing || tape.Shards is not null || call.Importance.Length > 0) return null;
        if (d.Ties is not (TieRule.Lowest or TieRule.Unspecified)) return null;
        var rule = new PlanRule(call.Groups, call.Size, call.Experts, Math.Min(d.K, call.Experts), RoutingPlan.Unlimited);
        return routing.Plans(rule) ? AllOf(tape.PlanOnBackend(rule, numbers.Value, null).Asked) : null;
    }

    /// <summary>First choices of every (group, expert), dropped or not.</summary>
    internal static Indices FirstOf(Indices asked) => asked with { Count = asked.Count / 2 };

    /// <summary>Choices of every (group, expert), dropped or not.</summary>
    internal static Indices AllOf(Indices asked) => new(asked.Storage, asked.Offset + asked.Count / 2, asked.Count / 2);
}
