using SparseExperts.Autograd;
using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What one call of a sparse layer did.</summary>
/// <param name="Output">[T, M]; a dropped token's row is exactly 0 unless the dialect says otherwise, so that the residual carries it.</param>
/// <param name="Loss">Weighted auxiliary losses, 1×1, or null.</param>
/// <param name="Probabilities">What the router thinks of every expert [T, E], for reports.</param>
public sealed record SparseResult(Tensor Output, Tensor? Loss, IReadOnlyList<LossTerm> Losses, Tensor Logits, Tensor Probabilities, RoutingPlan Plan, LossInputs? Inputs);

/// <summary>
/// A sparse feed-forward layer: scores → selection → priority → capacity → gates → experts → losses, each step as the dialect says. The steps
/// are functions of their own, so that a checker can run one on the numbers that an implementation claims for the steps before it.
/// </summary>
public static class SparseLayer
{
    /// <param name="x">Tokens [T, M].</param>
    /// <param name="dropout">Dropout of the experts' hidden layer while training.</param>
    /// <param name="streams">Streams of the dropouts; words are addressed, never consumed.</param>
    public static SparseResult Forward(Tape tape, RouterCall call, Tensor x, RouterWeights router, ExpertWeights experts, double dropout = 0, LayerStreams streams = default)
    {
        var c = call with { Dialect = call.Dialect.Settled };
        if (c.Dialect.Selection == Selection.SlotMixture) return SoftLayer.Forward(tape, c, x, router, experts);
        if (c.Dialect.Selection == Selection.TwoLevelCapacity) return TwoLevelLayer.Forward(tape, c, x, router, experts);

        // What the router sees; the experts see it too where the library disturbs its tokens in place.
        var input = RouterLogits.Input(tape, c, x);
        var expertInput = ExpertInput(c, x, input);
        var routed = Route(tape, c, input, router);
        var (gates, plan) = Experts.Effective(tape, c, routed.Gates, routed.Plan);
        var y = Experts.Apply(tape, c, expertInput, experts, gates, plan, dropout, streams);
        var losses = routed.Losses ?? AuxiliaryLosses.Compute(tape, c, routed.Inputs!);
        return new(y, AuxiliaryLosses.Total(tape, call, losses), losses, routed.Logits, routed.Scores, routed.Plan, routed.Inputs);
    }

    /// <summary>What the experts get: the tokens, or the disturbed ones.</summary>
    public static Tensor ExpertInput(RouterCall call, Tensor x, Tensor input) => call.Jitters && call.Dialect.JitterReach switch
    {
        JitterReach.RouterAndExperts => true,
        JitterReach.InPlaceUnlessCast => (call.Dialect.RouterDtype ?? call.Format) == call.Format,
        JitterReach.Router => false,
        var other => throw new RoutingException($"{call.Where}: unknown reach of the jitter {other}"),
    } ? input : x;

    internal sealed record Routed(Tensor Logits, Tensor Scores, Tensor Gates, RoutingPlan Plan, LossInputs? Inputs, IReadOnlyList<LossTerm>? Losses = null);

    /// <summary>From a router's input to its plan and gates, with exact products whatever the experts' are (Fedus et al. 2022, section 2.4).</summary>
    internal static Routed Route(Tape tape, RouterCall call, Tensor input, RouterWeights router)
    {
        using var exact = tape.Exactly();
        if (call.Dialect.Selection == Selection.TwoLevel)
        {
            var two = TwoLevelRouter.Route(tape, call, input, router);
            return new(two.Gates, two.Gates, two.Gates, two.Plan, null, two.Losses);
        }
        if (call.Dialect.Selection == Selection.BinaryCode)
        {
            var code = BinaryCodeRouter.Weights(tape, call, input, router, out var regulariser);
            var plan = Slots.Assign(call, Given.Everything(call), RoutingPlan.Unlimited, Nothing(call), default);
            return new(code, code, code, plan, null, [new("entropy", regulariser, call.Training ? call.Dialect.EntropyCoefficient : 0)]);
        }
        var logits = RouterLogits.Compute(tape, call, input, router);
        var noisy = RouterScores.Noisy(tape, call, logits, input, router, out var deviation);
        var scores = RouterScores.Compute(tape, call, noisy);
        var numbers = Read(tape, call, logits, noisy, scores, router);
        Choices choices = Selector.Select(call, numbers, () => CapacityRule.Capacity(call, default));
        var capacity = CapacityRule.Capacity(call, CapacityRule.Loads(call, choices, numbers));
        var gates = Gates.BeforeDrop(tape, call, noisy, scores, choices, router.CorrectionBias);
        var plan2 = call.Plan ?? Slots.Assign(call, choices, capacity, numbers, Priority(tape, call, gates));
        gates = Gates.AfterDrop(tape, call, gates, plan2);
        LossInputs inputs = new() { Logits = logits, Noisy = noisy, Scores = scores, Deviation = deviation, Numbers = numbers, Choices = choices, Plan = plan2, Gates = gates, Weights = router };
        return new(logits, scores, gates, plan2, inputs);
    }

    /// <summary>What the host needs to see of a router's outputs.</summary>
    public static RouterNumbers Read(Tape tape, RouterCall call, Tensor logits, Tensor noisy, Tensor scores, RouterWeights router)
    {
        var clean = Numbers(tape, logits);
        var disturbed = ReferenceEquals(noisy, logits) ? clean : Numbers(tape, noisy);
        var thresholds = Array.Empty<double>();
        if (router.Thresholds is { } t) tape.Backend.Read(t.Value, thresholds = new double[call.Experts]);
        return new()
        {
            Logits = clean,
            Noisy = disturbed,
            Scores = ReferenceEquals(scores, noisy) ? disturbed : Numbers(tape, scores),
            CorrectionBias = call.Dialect.CorrectionBias ? router.CorrectionBias : [],
            Thresholds = thresholds,
        };
    }

    /// <summary>Values, with their error bounds where the backend carries any; valid until the tape's next reset.</summary>
    public static Numbers Numbers(Tape tape, Tensor tensor)
    {
        var count = checked((int)tensor.Value.Count);
        return new(() =>
        {
            var values = tape.HostNumbers(count);
            tape.Backend.Read(tensor.Value, values);
            if (tape.Backend is not IErrorBounds bounds) return (values, tape.HostZeros(count));
            var errors = tape.HostNumbers(count);
            bounds.ReadErrors(tensor.Value, errors);
            return (values, errors);
        });
    }

    static double[] Priority(Tape tape, RouterCall call, Tensor gates)
    {
        if (call.Dialect.DropPolicy != DropPolicy.Score) return [];
        var values = new double[gates.Value.Count];
        tape.Backend.Read(gates.Value, values);
        return values;
    }

    static RouterNumbers Nothing(RouterCall call)
    {
        var zeros = new Numbers(new double[call.Tokens * call.Experts]);
        return new() { Logits = zeros, Noisy = zeros, Scores = zeros };
    }
}
