using SparseExperts.Autograd;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What a sparse layer reads.</summary>
/// <param name="X">Tokens [T, M].</param>
/// <param name="Experts">What the experts read where it is not the tokens [T, M]: a norm of them, say, while the router reads the residual.</param>
public sealed record LayerInputs(Tensor X, Tensor? Experts = null)
{
    public static implicit operator LayerInputs(Tensor x) => new(x);
}

/// <summary>What one call of a sparse layer did.</summary>
/// <param name="Output">[T, M]; a dropped token's row is exactly 0 unless the dialect says otherwise, so that the residual carries it.</param>
/// <param name="Loss">Weighted auxiliary losses, 1×1, or null.</param>
/// <param name="Probabilities">What the router thinks of every expert [T, E], for reports.</param>
public sealed record SparseResult(Tensor Output, Tensor? Loss, IReadOnlyList<LossTerm> Losses, Tensor Logits, Tensor Probabilities, PlanHandle Handle,
    LossInputs? Inputs)
{
    /// <summary>The plan on the host; a read that waits where the backend planned, until the tape's next reset.</summary>
    public RoutingPlan Plan => Handle.Host;

    /// <summary>Ids of its tokens [T], for reports; empty where nobody said.</summary>
    public int[] Ids { get; init; } = [];

    /// <summary>Tasks of its tokens [T]; empty where nobody said.</summary>
    public int[] Tasks { get; init; } = [];

    /// <summary>What its router hands to the router of the next layer [T, R], where routers do that.</summary>
    public Tensor? RouterState { get; init; }

    /// <summary>
    /// What is read of a layer after it: all but the output, which the next op takes. None of it has more than a number a token and expert. Losses that nobody
    /// has asked for are not computed for this.
    /// </summary>
    internal IEnumerable<Tensor?> Kept =>
    [
        Loss, .. Losses.Where(l => l.Computed.IsValueCreated).Select(l => l.Value), Logits, Probabilities, RouterState,
        Inputs?.Logits, Inputs?.Noisy, Inputs?.Scores, Inputs?.Deviation, Inputs?.Gates,
    ];
}

/// <summary>A sparse feed-forward layer of any kind.</summary>
public static class SparseLayer
{
    /// <param name="dropout">Dropout of the experts' hidden layer while training.</param>
    /// <param name="instead">What takes the place of stages of a routed layer; layers of other kinds have none, and refuse it.</param>
    /// <param name="streams">Streams of the dropouts; words are addressed, never consumed.</param>
    public static SparseResult Forward(Tape tape, RouterCall call, LayerInputs inputs, RouterWeights router, ExpertWeights experts, double dropout = 0,
        LayerStreams streams = default, Substitution? instead = null)
    {
        var kind = call.Dialect.LayerKind();
        if (kind != LayerKind.Routed && instead is not null) throw Without(call, kind, "stages in whose place something could stand");
        if (kind is LayerKind.Soft or LayerKind.TwoLevelCapacity)
        {
            if (inputs.Experts is not null) throw Without(call, kind, "experts that read something else than its tokens");
            if (dropout > 0) throw Without(call, kind, "dropout of its experts");
        }
        return kind switch
        {
            LayerKind.Routed => Routed(tape, call, inputs, router, experts, dropout, streams, instead),
            LayerKind.TwoLevelRouter => TwoLevels(tape, call, inputs, router, experts, dropout, streams),
            LayerKind.BinaryCode => Coded(tape, call, inputs, router, experts, dropout, streams),
            LayerKind.Soft => SoftLayer.Forward(tape, call, inputs.X, router, experts),
            LayerKind.TwoLevelCapacity => TwoLevelLayer.Forward(tape, call, inputs.X, router, experts),
            var other => throw new RoutingException($"{call.Where}: unknown kind of layer {other}"),
        };
    }

    static RoutingException Without(RouterCall call, LayerKind kind, string what) =>
        new($"{call.Where}: the layer of {call.Dialect.Name} ({kind}) has no {what}; leave it out");

    static SparseResult Routed(Tape tape, RouterCall call, LayerInputs inputs, RouterWeights router, ExpertWeights experts, double dropout,
        LayerStreams streams, Substitution? instead)
    {
        var drops = tape.Drops && (dropout > 0 || call.Dialect.TokenDropout > 0);
        var routed = RoutedLayer.Route(tape, call with { DropsByChoice = drops }, inputs.X, router, instead);
        var y = RoutedLayer.Output(tape, call, routed, inputs.X, inputs.Experts, experts, dropout, streams);
        using var place = tape.Within("losses");
        var losses = AuxiliaryLosses.Of(tape, call, routed.Losses);
        return new(y, AuxiliaryLosses.Total(tape, call, losses), losses, routed.Scored.Logits, routed.Scored.Scores, routed.Handle,
            routed.Losses with { TokenMask = call.TokenMask, ScoreFormat = call.ScoreFormat, LogitsFormat = call.LogitsFormat })
        {
            RouterState = call.Dialect.Router == RouterForm.Mlp ? routed.Scored.Before : null,
        };
    }

    static SparseResult TwoLevels(Tape tape, RouterCall call, LayerInputs inputs, RouterWeights router, ExpertWeights experts, double dropout,
        LayerStreams streams)
    {
        var routed = TwoLevelRouter.Route(tape, call, inputs.X, router);
        var y = TwoLevelRouter.Output(tape, call, routed, inputs.X, inputs.Experts, experts, dropout, streams);
        return new(y, AuxiliaryLosses.Total(tape, call, routed.Losses), routed.Losses, routed.Gates, routed.Gates, routed.Plan, null);
    }

    static SparseResult Coded(Tape tape, RouterCall call, LayerInputs inputs, RouterWeights router, ExpertWeights experts, double dropout, LayerStreams streams)
    {
        var input = RouterLogits.Input(tape, call, inputs.X);
        var code = BinaryCodeRouter.Weights(tape, call, input, router, out var regulariser); // [T, E]
        var plan = Slots.Assign(call, Given.Everything(call), RoutingPlan.Unlimited, RouterNumbers.Nothing(call), default);
        var y = Experts.Apply(tape, call, inputs.Experts ?? RoutedLayer.ExpertInput(call, inputs.X, input), experts, code, plan, dropout, streams);
        LossTerm[] losses = [new("entropy", regulariser, call.Training ? call.Dialect.EntropyCoefficient : 0)];
        return new(y, AuxiliaryLosses.Total(tape, call, losses), losses, code, code, plan, null);
    }
}
