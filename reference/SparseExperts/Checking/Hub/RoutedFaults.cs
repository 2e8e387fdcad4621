using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking.Hub;

/// <summary>What a routed feed-forward layer may do instead: its gates, its shared expert, its experts, its router, and every rule one axis away.</summary>
/// <param name="index">Number of the layer.</param>
sealed class RoutedFaults(DecoderLayer layer, HubExperts experts, int index)
{
    /// <summary>Experts that are looked at one by one, or in pairs.</summary>
    const int Most = 16;

    readonly Tape _tape = layer.Tape;
    readonly Dialect _rule = experts.Form.Dialect;
    readonly ExpertWeights _weights = experts.Experts;
    readonly int _count = experts.Form.Experts;

    /// <summary>What models do wrong, in the order in which it is looked for.</summary>
    public IEnumerable<LayerFault> Usual() => OfGates().Concat(OfShared()).Concat(OfPlaces()).Concat(OfMatrices()).Concat(OfParts()).Concat(OfRouter());

    /// <summary>Every rule that lies one axis away, those first that others have.</summary>
    public IEnumerable<LayerFault> Rules() =>
        from neighbour in Neighbours.Of(_rule).OrderByDescending(n => Neighbours.Plausibility(_rule, n.Change))
        let d = neighbour.Dialect
        where d.LayerKind() == LayerKind.Routed && d.Router == _rule.Router && d.Selection == _rule.Selection && d.K <= _count
        select Ruled($"as if {neighbour.Change}", d);

    LayerFault With(string sentence, HubExperts with) => new(sentence, layer with { Weights = layer.Weights with { Experts = with } });
    LayerFault Ruled(string sentence, Dialect dialect) => With(sentence, experts.With(form: experts.Form with { Dialect = dialect }));
    LayerFault Held(string sentence, ExpertWeights weights) => With(sentence, experts.With(experts: weights));
    LayerFault Routed(string sentence, RouterWeights router) => With(sentence, experts.With(router: router));

    IEnumerable<LayerFault> OfGates()
    {
        var d = _rule;
        if (d.Normalize == Normalize.Sum) yield return Ruled("gates of the chosen experts not divided by their sum", d with { Normalize = Normalize.None });
        if (d.Normalize == Normalize.None && d.Score != Score.SoftmaxPost)
            yield return Ruled("gates of the chosen experts divided by their sum", d with { Normalize = Normalize.Sum });
        if (d.ScalingFactor != 1) yield return Ruled($"scaling factor {Number(d.ScalingFactor)} of the gates forgotten", d with { ScalingFactor = 1 });
        if (d.ScalingFactor != 1 && d.Normalize == Normalize.Sum)
            yield return Ruled("gates neither divided by their sum nor scaled", d with { ScalingFactor = 1, Normalize = Normalize.None });
        if (d.Score == Score.Sigmoid) yield return Ruled("softmax in place of sigmoid scores", d with { Score = Score.Softmax });
        if (d.Score == Score.Softmax) yield return Ruled("sigmoid in place of softmax scores", d with { Score = Score.Sigmoid });
        if (d.Score == Score.SoftmaxPost)
            yield return Ruled("softmax over all experts in place of the chosen", d with { Score = Score.Softmax, SelectBy = SelectBy.Scores });
        if (d.CorrectionBias)
        {
            yield return Ruled("gates taken from the scores with the correction bias", d with { Gate = Gate.BiasedScore });
            yield return Routed("correction bias ignored", experts.Router with { BiasOnBackend = null, CorrectionBias = new double[_count] });
        }
        if (d.Groups > 1) yield return Ruled("group limit ignored", d with { Groups = 1, GroupsKept = 1 });
        yield return d.ApplyGateTo == GatePlace.Input
            ? Ruled("gates multiply the experts' outputs in place of their inputs", d with { ApplyGateTo = GatePlace.Output })
            : Ruled("gates multiply the experts' inputs in place of their outputs", d with { ApplyGateTo = GatePlace.Input });
        yield return Ruled("gates all 1", d with { Gate = Gate.One, Normalize = Normalize.None, ScalingFactor = 1 });
        if (experts.Router.ExpertScale is not null) yield return Ruled("per_expert_scale ignored", d with { ExpertScale = false });
    }

    IEnumerable<LayerFault> OfShared()
    {
        var e = _weights;
        if (e is not { SharedWi: { } wi, SharedWiGate: { } gate, SharedWo: { } wo }) yield break;
        yield return Held($"shared expert missing in layer {index}", e with { SharedWi = null, SharedWiGate = null, SharedWo = null, SharedGate = null });
        if (e.SharedGate is not null) yield return Held($"gate of the shared expert forgotten in layer {index}", e with { SharedGate = null });
        yield return Held($"gate_proj and up_proj of the shared expert exchanged in layer {index}", e with { SharedWi = gate, SharedWiGate = wi });
        string Transposed(string name) => $"{name} of the shared expert of layer {index} transposed";
        if (Turned(_tape, wo, 1) is { } turnedOut) yield return Held(Transposed("down_proj"), e with { SharedWo = turnedOut });
        if (Turned(_tape, wi, 1) is { } turnedIn) yield return Held(Transposed("up_proj"), e with { SharedWi = turnedIn });
        if (Turned(_tape, gate, 1) is { } turnedGate) yield return Held(Transposed("gate_proj"), e with { SharedWiGate = turnedGate });
        var silent = e with { Wo = _tape.Scale(e.Wo, 0), Bo = e.Bo is null ? null : _tape.Scale(e.Bo, 0) };
        yield return Held($"routed experts missing in layer {index}: the shared one alone adds", silent);
    }

    /// <summary>Experts in other places.</summary>
    IEnumerable<LayerFault> OfPlaces()
    {
        LayerFault Moved(string sentence, Func<int, int> from)
        {
            Tensor? Own(Tensor? stack) => Placed(_tape, stack, _count, from);
            return Held(sentence, _weights with
            {
                Wi = Own(_weights.Wi)!,
                WiGate = Own(_weights.WiGate),
                Wo = Own(_weights.Wo)!,
                Bi = Own(_weights.Bi),
                BiGate = Own(_weights.BiGate),
                Bo = Own(_weights.Bo),
            });
        }
        for (var a = 0; a < Math.Min(_count, Most); a++)
            for (var b = a + 1; b < Math.Min(_count, Most); b++)
            {
                var (one, other) = (a, b);
                yield return Moved($"experts {a} and {b} exchanged in layer {index}", i => i == one ? other : i == other ? one : i);
            }
        yield return Moved($"expert ids of layer {index} shifted by one", i => (i + 1) % _count);
        yield return Moved($"expert ids of layer {index} shifted by minus one", i => (i + _count - 1) % _count);
        yield return Moved($"experts of layer {index} in reverse order", i => _count - 1 - i);
    }

    /// <summary>Their matrices turned, where they are square, all of one kind or one.</summary>
    IEnumerable<LayerFault> OfMatrices()
    {
        var e = _weights;
        for (var only = -1; only < Math.Min(_count, Most); only++)
        {
            int? one = only < 0 ? null : only;
            var whose = only < 0 ? "the experts" : $"expert {only}";
            string Transposed(string name) => $"{name} of {whose} of layer {index} transposed";
            if (Turned(_tape, e.Wo, _count, one) is { } wo) yield return Held(Transposed("down_proj"), e with { Wo = wo });
            if (Turned(_tape, e.Wi, _count, one) is { } wi) yield return Held(Transposed("up_proj"), e with { Wi = wi });
            if (e.WiGate is { } gate && Turned(_tape, gate, _count, one) is { } turned) yield return Held(Transposed("gate_proj"), e with { WiGate = turned });
        }
    }

    IEnumerable<LayerFault> OfParts()
    {
        var e = _weights;
        if (e.WiGate is { } gate)
        {
            var exchanged = e with { Wi = gate, WiGate = e.Wi, Bi = e.BiGate, BiGate = e.Bi };
            yield return Held($"gate and up projections of the experts exchanged in layer {index}", exchanged);
            yield return Held($"gate and up of layer {index} split in halves in place of turns", PackedColumns.Halved(_tape, e));
            yield return Held($"gate and up of layer {index} split in turns in place of halves", PackedColumns.TakenInTurns(_tape, e));
        }
        if (e.Bi is not null) yield return Held($"biases of the experts of layer {index} forgotten", e with { Bi = null, BiGate = null, Bo = null });
        if (e.Bo is not null) yield return Held($"bias of the experts' down projections forgotten in layer {index}", e with { Bo = null });
        foreach (var kind in Activations)
            if (ExpertKinds.Of(kind) is var other && other != _rule.Activation)
                yield return Ruled($"{Word(kind)} in place of the experts' activation", _rule with { Activation = other });
        if (_rule.Activation.IsLimited()) yield return Ruled("the experts' halves not limited", _rule with { ActivationLimit = 1e30 });
    }

    IEnumerable<LayerFault> OfRouter()
    {
        var router = experts.Router;
        if (router.Weight is { } weight && Turned(_tape, weight, 1) is { } turned)
            yield return Routed($"router of layer {index} transposed", router with { Weight = turned });
        if (router.Bias is not null) yield return Routed($"bias of the router of layer {index} forgotten", router with { Bias = null });
        if (!_rule.RouterNorm) yield break;
        yield return Ruled("norm in front of the router forgotten", _rule with { RouterNorm = false });
        yield return new("the router reads the experts' norm in place of the residual", layer with { RouterReadsNorm = true });
    }
}
