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
    readonly Tape _tape = layer.Tape;
    readonly Dialect _rule = experts.Form.Dialect;
    readonly ExpertWeights _weights = experts.Experts;
    readonly int _count = experts.Form.Experts;

    /// <summary>What models do wrong, in the order in which it is looked for.</summary>
    public IEnumerable<LayerFault> Usual() => OfGates().Concat(OfShared())
        .Concat(new ExpertFaults(_tape, _weights, _count, $"layer {index}").All().Select(f => Held(f.Sentence, f.With)))
        .Concat(OfParts()).Concat(OfRouter()).Concat(OfSum());

    /// <summary>Every rule that lies one axis away, those first that others have; formats would let anything pass with their wider bounds.</summary>
    public IEnumerable<LayerFault> Rules() =>
        from neighbour in Neighbours.Of(_rule).OrderByDescending(n => Neighbours.Plausibility(_rule, n.Change))
        let d = neighbour.Dialect
        where d.LayerKind() == LayerKind.Routed && d.Router == _rule.Router && d.Selection == _rule.Selection && Serves(d)
            && !neighbour.Change.Axis.EndsWith("_dtype", StringComparison.Ordinal)
        select Ruled(neighbour.Change.ToString(), d);

    /// <summary>Narrower formats that the recorded numbers show.</summary>
    public IEnumerable<LayerFault> Formats(Recording recording)
    {
        var name = RouterNames.Find(recording, index);
        return RouterFormats.Of(_rule, recording, name, $"{name}.gates").Select(f => Ruled(f.Sentence, f.With));
    }

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
        foreach (var k in (int[])[d.K + 1, d.K - 1])
            if (k > 0 && d with { K = k } is var other && Serves(other)) yield return Ruled($"top {k} in place of top {d.K}", other);
        yield return Ruled("gates all 1", d with { Gate = Gate.One, Normalize = Normalize.None, ScalingFactor = 1 });
        if (experts.Router.ExpertScale is not null) yield return Ruled("per_expert_scale ignored", d with { ExpertScale = false });
    }

    IEnumerable<LayerFault> OfShared()
    {
        var e = _weights;
        if (e is not { SharedWi: { } wi, SharedWiGate: { } gate, SharedWo: { } wo }) yield break;
        yield return Held($"shared expert missing in layer {index}", e with { SharedWi = null, SharedWiGate = null, SharedWo = null, SharedGate = null });
        yield return Held($"shared expert added twice in layer {index}", e with { SharedWo = _tape.Scale(wo, 2) });
        if (_rule.ScalingFactor is not 1 and var factor)
            yield return Held($"scaling factor {Number(factor)} of the gates on the shared expert too", e with { SharedWo = _tape.Scale(wo, factor) });
        if (e.SharedGate is not null) yield return Held($"gate of the shared expert forgotten in layer {index}", e with { SharedGate = null });
        yield return Held($"gate_proj and up_proj of the shared expert exchanged in layer {index}", e with { SharedWi = gate, SharedWiGate = wi });
        string Transposed(string name) => $"{name} of the shared expert of layer {index} transposed";
        if (Turned(_tape, wo, 1) is { } turnedOut) yield return Held(Transposed("down_proj"), e with { SharedWo = turnedOut });
        if (Turned(_tape, wi, 1) is { } turnedIn) yield return Held(Transposed("up_proj"), e with { SharedWi = turnedIn });
        if (Turned(_tape, gate, 1) is { } turnedGate) yield return Held(Transposed("gate_proj"), e with { SharedWiGate = turnedGate });
        var silent = e with { Wo = _tape.Scale(e.Wo, 0), Bo = e.Bo is null ? null : _tape.Scale(e.Bo, 0) };
        yield return Held($"routed experts missing in layer {index}: the shared one alone adds", silent);
    }

    IEnumerable<LayerFault> OfParts()
    {
        var e = _weights;
        if (e.Bi is not null) yield return Held($"biases of the experts of layer {index} forgotten", e with { Bi = null, BiGate = null, Bo = null });
        if (e.Bi is not null)
            yield return Held($"biases of the experts' gate and up projections forgotten in layer {index}", e with { Bi = null, BiGate = null });
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
        foreach (var (sentence, weights) in RowsExchanged(_tape, router, _count, $"layer {index}")) yield return Routed(sentence, weights);
        if (!_rule.RouterNorm && layer.Form.Sparse is not null)
            yield return new("the router reads the stream in place of its norm", layer with { RouterReadsOther = true });
        if (!_rule.RouterNorm) yield break;
        yield return Ruled("norm in front of the router forgotten", _rule with { RouterNorm = false });
        yield return new("the router reads the experts' norm in place of the residual", layer with { RouterReadsOther = true });
    }

    IEnumerable<LayerFault> OfSum()
    {
        var (k, factor) = (_rule.K, _rule.OutputScalingFactor);
        if (k > 1) yield return Ruled($"the {k} experts of a token averaged in place of added", _rule with { OutputScalingFactor = factor / k });
    }

    /// <summary>Whether a rule can serve as many experts as there are.</summary>
    bool Serves(Dialect d)
    {
        try
        {
            DialectRules.Check(d, _count);
            return true;
        }
        catch (DialectException)
        {
            return false;
        }
    }
}
