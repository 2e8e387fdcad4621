using SparseExperts.Autograd;
using SparseExperts.Layers.Quirks;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What the stages up to the scores made. All tensors but the input are [T, E].</summary>
/// <param name="Input">Tokens as the router sees them [T, M].</param>
/// <param name="Deviation">σ of input-dependent noise, or null.</param>
/// <param name="Numbers">What the host sees of them, fetched when somebody looks.</param>
/// <param name="Before">What an MLP router hands to the router of the next layer [T, R], or the halves of product keys [T, 2K], or null.</param>
/// <param name="SharedLogits">Of shared experts that take part in the gates [T, N], or null; and their scores.</param>
public sealed record Scored(Tensor Input, Tensor Logits, Tensor Noisy, Tensor? Deviation, Tensor Scores, RouterNumbers Numbers,
    Tensor? Before, Tensor? SharedLogits, Tensor? SharedScores);

/// <summary>What a router did.</summary>
/// <param name="Gates">As they are applied [T, K].</param>
/// <param name="Chosen">Who wanted whom, where the host chose.</param>
/// <param name="SharedGates">Of shared experts that take part in the normalisation [T, N], or are choices more, or null.</param>
/// <param name="Applied">Gates and plan as they take effect: another pair where a library reads one thing as another.</param>
public sealed record Routed(Scored Scored, Choices? Chosen, PlanHandle Handle, Tensor Gates, Tensor? SharedGates, (Tensor Gates, PlanHandle Plan) Applied,
    RouterWeights Weights)
{
    /// <summary>The plan on the host, read where the backend planned; so are the members that follow.</summary>
    public RoutingPlan Plan => Handle.Host;
    public Choices Choices => Chosen ?? Choices.Of(Plan);
    public int Capacity => Handle.Capacity;
    public (Tensor Gates, RoutingPlan Plan) Effective => (Applied.Gates, Applied.Plan.Host);

    public LossInputs Losses => new()
    {
        Logits = Scored.Logits,
        Noisy = Scored.Noisy,
        Scores = Scored.Scores,
        Deviation = Scored.Deviation,
        Numbers = Scored.Numbers,
        Handle = Handle,
        Chosen = Chosen,
        Gates = Gates,
        Weights = Weights,
    };
}

/// <summary>
/// The routed layer, stage by stage: router input → logits → scores → choices → capacity → slots → gates → experts. Training, the checker, replays and
/// comparisons all go through these lines; they differ in what they put in the place of a stage (<see cref="Substitution"/>).
/// </summary>
public static class RoutedLayer
{
    /// <summary>From tokens to plan and gates, with exact products whatever the experts' are (Fedus et al. 2022, section 2.4).</summary>
    public static Routed Route(Tape tape, RouterCall call, Tensor x, RouterWeights router, Substitution? instead = null)
    {
        using var place = tape.Within("router");
        using var exact = tape.Exactly();
        instead ??= Substitution.None;
        var onBackend = !instead.NeedsHost && router.CorrectionBias.Length == 0 ? BackendPlanning.RuleOf(tape, call) : null;
        if (onBackend is null) router = router.WithBiasOnHost(tape);
        var scored = Score(tape, call, x, router, instead);                                                                             // [T, E]
        if (onBackend is { } rule)
        {
            var (handle, applied) = BackendPlanning.Route(tape, call, rule, scored.Noisy, scored.Scores, router);
            return new(scored, null, handle, applied, null, (applied, handle), router);
        }
        var (choices, capacity) = Choose(call, scored.Numbers, instead);                                                                // [T, K]
        var candidates = Gates.BeforeDrop(tape, call, scored.Noisy, scored.Scores, choices, router.CorrectionBias, scored.SharedScores);        // [T, K]
        var decided = new Decisions(scored.Numbers, choices, capacity, HostNumbers.Of(tape, candidates));
        var plan = instead.Plan(decided, () => call.Plan ?? Assign(call, decided));                                                     // slot of [T, K]
        var gates = instead.Gates(Gates.AfterDrop(tape, call, candidates, plan, router));                                               // [T, K]
        var shared = instead.SharedGates(Gates.OfShared(tape, call, scored.Noisy, scored.Scores, choices, scored.SharedScores, router)); // [T, N]
        var effective = instead.Effective(MaskReadAsIndices.Effective(tape, call, gates, plan));
        var host = new PlanHandle(plan);
        return new(scored, choices, host, gates, shared, (effective.Gates, ReferenceEquals(effective.Plan, plan) ? host : new(effective.Plan)), router);
    }

    /// <summary>Router input, logits and scores.</summary>
    public static Scored Score(Tape tape, RouterCall call, Tensor x, RouterWeights router, Substitution instead)
    {
        var input = RouterLogits.Input(tape, call, x, router.Norm);                                                                     // [T, M]
        var before = instead.BeforeLogits(() => RouterLogits.Before(tape, call, input, router));                                        // [T, R] or [T, 2K]
        var logits = instead.Logits(() => RouterLogits.Compute(tape, call, input, router, before));                                     // [T, E]
        var shared = instead.SharedLogits(() => RouterLogits.Shared(tape, call, input, router));                                        // [T, N]
        var noisy = RouterScores.Noisy(tape, call, logits, input, router, out var deviation);                                           // [T, E]
        var scores = instead.Scores(RouterScores.Compute(tape, call, noisy));                                                           // [T, E]
        var numbers = instead.Numbers(() => HostNumbers.Of(tape, call, logits, noisy, scores, router));
        return new(input, logits, noisy, deviation, scores, numbers, before, shared, shared is null ? null : RouterScores.Compute(tape, call, shared));
    }

    /// <summary>Choices and capacity, integers on the host.</summary>
    public static (Choices Choices, int Capacity) Choose(RouterCall call, RouterNumbers numbers, Substitution instead)
    {
        int Capacity() => instead.CapacityOfChoosing(() => CapacityRule.Capacity(call, default));
        var choices = instead.Choices(numbers, () => Selector.Select(call, numbers, Capacity));
        return (choices, instead.Capacity(numbers, choices, () => CapacityRule.Capacity(call, CapacityRule.Loads(call, choices, numbers))));
    }

    /// <summary>Slots for what was decided; gates are looked at only where they rank.</summary>
    public static RoutingPlan Assign(RouterCall call, Decisions decided) =>
        Slots.Assign(call, decided.Choices, decided.Capacity, decided.Numbers, call.Dialect.DropPolicy == DropPolicy.Score ? decided.Priority.Values : []);

    /// <summary>Dispatch, experts and combine [T, M].</summary>
    /// <param name="x">The tokens.</param>
    /// <param name="own">What the experts read where it is not the tokens, or null.</param>
    public static Tensor Output(Tape tape, RouterCall call, Routed routed, Tensor x, Tensor? own, ExpertWeights experts, double dropout = 0,
        LayerStreams streams = default)
    {
        var (gates, plan) = routed.Applied;
        return Experts.Apply(tape, call, own ?? ExpertInput(call, x, routed.Scored.Input), experts, gates, plan, dropout, streams, routed.SharedGates);
    }

    /// <summary>What the experts get: the tokens, or the disturbed ones where a library disturbs its tokens in place.</summary>
    public static Tensor ExpertInput(RouterCall call, Tensor x, Tensor input) => call.Jitters && call.Dialect.JitterReach switch
    {
        JitterReach.RouterAndExperts => true,
        JitterReach.InPlaceUnlessCast => (call.Dialect.RouterDtype ?? call.Format) == call.Format,
        JitterReach.Router => false,
        var other => throw new RoutingException($"{call.Where}: unknown reach of the jitter {other}"),
    } ? input : x;
}
