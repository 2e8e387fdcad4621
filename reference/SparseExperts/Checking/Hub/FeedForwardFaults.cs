using SparseExperts.Layers;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking.Hub;

/// <summary>What the second half of a layer may do instead.</summary>
static class FeedForwardFaults
{
    static readonly Activation[] Activations = [Activation.Silu, Activation.GeluErf, Activation.GeluTanh, Activation.Relu, Activation.Sigmoid, Activation.Identity];

    /// <summary>In the order in which they are looked for: what models do wrong, then every rule that lies one axis away.</summary>
    public static IEnumerable<LayerFault> Of(DecoderLayer layer, int index)
    {
        IEnumerable<LayerFault> all = [];
        if (layer.Weights.Experts is { } experts)
            all = all.Concat(OfGates(layer, experts)).Concat(OfShared(layer, experts, index)).Concat(OfExperts(layer, experts, index)).Concat(OfRouter(layer, experts, index));
        if (layer.Weights.Dense is not null) all = all.Concat(OfDense(layer, index));
        all = all.Concat(OfNorms(layer, index)).Concat(OfSums(layer, index));
        return layer.Weights.Experts is { } routed ? all.Concat(OfRule(layer, routed)) : all;
    }

    static DecoderLayer With(DecoderLayer layer, HubExperts experts) => layer with { Weights = layer.Weights with { Experts = experts } };

    static LayerFault Ruled(DecoderLayer layer, HubExperts experts, string sentence, Dialect dialect) =>
        new(sentence, With(layer, experts.With(form: experts.Form with { Dialect = dialect })));

    static IEnumerable<LayerFault> OfGates(DecoderLayer layer, HubExperts experts)
    {
        var d = experts.Form.Dialect;
        if (d.Normalize == Normalize.Sum)
            yield return Ruled(layer, experts, "gates of the chosen experts not divided by their sum", d with { Normalize = Normalize.None });
        if (d.Normalize == Normalize.None && d.Score != Score.SoftmaxPost)
            yield return Ruled(layer, experts, "gates of the chosen experts divided by their sum", d with { Normalize = Normalize.Sum });
        if (d.ScalingFactor != 1)
            yield return Ruled(layer, experts, $"scaling factor {Number(d.ScalingFactor)} of the gates forgotten", d with { ScalingFactor = 1 });
        if (d.ScalingFactor != 1 && d.Normalize == Normalize.Sum)
            yield return Ruled(layer, experts, "gates neither divided by their sum nor scaled", d with { ScalingFactor = 1, Normalize = Normalize.None });
        if (d.Score == Score.Sigmoid) yield return Ruled(layer, experts, "softmax in place of sigmoid scores", d with { Score = Score.Softmax });
        if (d.Score == Score.Softmax) yield return Ruled(layer, experts, "sigmoid in place of softmax scores", d with { Score = Score.Sigmoid });
        if (d.Score == Score.SoftmaxPost)
            yield return Ruled(layer, experts, "softmax over all experts in place of the chosen", d with { Score = Score.Softmax, SelectBy = SelectBy.Scores });
        if (d.CorrectionBias)
        {
            yield return Ruled(layer, experts, "gates taken from the scores with the correction bias", d with { Gate = Gate.BiasedScore });
            yield return new("correction bias ignored", With(layer, experts.With(router: experts.Router with { BiasOnBackend = null, CorrectionBias = new double[experts.Form.Experts] })));
        }
        if (d.Groups > 1) yield return Ruled(layer, experts, "group limit ignored", d with { Groups = 1, GroupsKept = 1 });
        if (d.ApplyGateTo == GatePlace.Input) yield return Ruled(layer, experts, "gates multiply the experts' outputs in place of their inputs", d with { ApplyGateTo = GatePlace.Output });
        else yield return Ruled(layer, experts, "gates multiply the experts' inputs in place of their outputs", d with { ApplyGateTo = GatePlace.Input });
        yield return Ruled(layer, experts, "gates all 1", d with { Gate = Gate.One, Normalize = Normalize.None, ScalingFactor = 1 });
        if (experts.Router.ExpertScale is not null) yield return Ruled(layer, experts, "per_expert_scale ignored", d with { ExpertScale = false });
    }

    static IEnumerable<LayerFault> OfShared(DecoderLayer layer, HubExperts experts, int index)
    {
        var e = experts.Experts;
        if (e.SharedWi is null) yield break;
        DecoderLayer Shared(ExpertWeights with) => With(layer, experts.With(experts: with));
        yield return new($"shared expert missing in layer {index}", Shared(e with { SharedWi = null, SharedWiGate = null, SharedWo = null, SharedGate = null }));
        if (e.SharedGate is not null) yield return new($"gate of the shared expert forgotten in layer {index}", Shared(e with { SharedGate = null }));
        yield return new($"gate_proj and up_proj of the shared expert exchanged in layer {index}", Shared(e with { SharedWi = e.SharedWiGate, SharedWiGate = e.SharedWi }));
        if (Turned(layer.Tape, e.SharedWo!, 1) is { } wo) yield return new($"down_proj of the shared expert of layer {index} transposed", Shared(e with { SharedWo = wo }));
        if (Turned(layer.Tape, e.SharedWi, 1) is { } wi) yield return new($"up_proj of the shared expert of layer {index} transposed", Shared(e with { SharedWi = wi }));
        if (Turned(layer.Tape, e.SharedWiGate!, 1) is { } gate)
            yield return new($"gate_proj of the shared expert of layer {index} transposed", Shared(e with { SharedWiGate = gate }));
        var none = layer.Tape.Scale(e.Wo, 0);
        yield return new($"routed experts missing in layer {index}: the shared one alone adds", Shared(e with { Wo = none, Bo = e.Bo is null ? null : layer.Tape.Scale(e.Bo, 0) }));
    }

    static IEnumerable<LayerFault> OfExperts(DecoderLayer layer, HubExperts experts, int index)
    {
        var (tape, e, count) = (layer.Tape, experts.Experts, experts.Form.Experts);
        DecoderLayer Routed(ExpertWeights with) => With(layer, experts.With(experts: with));
        ExpertWeights Placed(Func<int, int> from) => e with
        {
            Wi = FaultParts.Placed(tape, e.Wi, count, from)!,
            WiGate = FaultParts.Placed(tape, e.WiGate, count, from),
            Wo = FaultParts.Placed(tape, e.Wo, count, from)!,
            Bi = FaultParts.Placed(tape, e.Bi, count, from),
            BiGate = FaultParts.Placed(tape, e.BiGate, count, from),
            Bo = FaultParts.Placed(tape, e.Bo, count, from),
        };
        yield return new($"gate and up projections of the experts exchanged in layer {index}",
            Routed(e with { Wi = e.WiGate ?? e.Wi, WiGate = e.Wi, Bi = e.BiGate, BiGate = e.Bi }));
        for (var a = 0; a < Math.Min(count, 16); a++)
            for (var b = a + 1; b < Math.Min(count, 16); b++)
            {
                var (one, other) = (a, b);
                yield return new($"experts {a} and {b} exchanged in layer {index}", Routed(Placed(i => i == one ? other : i == other ? one : i)));
            }
        yield return new($"expert ids of layer {index} shifted by one", Routed(Placed(i => (i + 1) % count)));
        yield return new($"expert ids of layer {index} shifted by minus one", Routed(Placed(i => (i + count - 1) % count)));
        yield return new($"experts of layer {index} in reverse order", Routed(Placed(i => count - 1 - i)));
        if (Turned(tape, e.Wo, count) is { } wo) yield return new($"down projections of the experts of layer {index} transposed", Routed(e with { Wo = wo }));
        if (Turned(tape, e.Wi, count) is { } wi) yield return new($"up projections of the experts of layer {index} transposed", Routed(e with { Wi = wi }));
        if (e.WiGate is { } gate && Turned(tape, gate, count) is { } wg)
            yield return new($"gate projections of the experts of layer {index} transposed", Routed(e with { WiGate = wg }));
        for (var i = 0; i < Math.Min(count, 16); i++)
        {
            if (Turned(tape, e.Wo, count, i) is { } down) yield return new($"down_proj of expert {i} of layer {index} transposed", Routed(e with { Wo = down }));
            if (Turned(tape, e.Wi, count, i) is { } up) yield return new($"up_proj of expert {i} of layer {index} transposed", Routed(e with { Wi = up }));
            if (e.WiGate is { } g && Turned(tape, g, count, i) is { } turned)
                yield return new($"gate_proj of expert {i} of layer {index} transposed", Routed(e with { WiGate = turned }));
        }
        if (e.WiGate is not null)
        {
            yield return new($"gate and up of layer {index} split in halves in place of turns", Routed(Split(tape, e, Halves)));
            yield return new($"gate and up of layer {index} split in turns in place of halves", Routed(Split(tape, e, Turns)));
        }
        if (e.Bi is not null) yield return new($"biases of the experts of layer {index} forgotten", Routed(e with { Bi = null, BiGate = null, Bo = null }));
        if (e.Bo is not null) yield return new($"bias of the experts' down projections forgotten in layer {index}", Routed(e with { Bo = null }));
        foreach (var kind in Activations)
            if (ExpertKinds.Of(kind) != experts.Form.Dialect.Activation)
                yield return Ruled(layer, experts, $"{Word(kind)} in place of the experts' activation", experts.Form.Dialect with { Activation = ExpertKinds.Of(kind) });
        if (experts.Form.Dialect.Activation.IsLimited())
            yield return Ruled(layer, experts, "the experts' halves not limited", experts.Form.Dialect with { ActivationLimit = 1e30 });
    }

    /// <summary>Gate and up as somebody finds them who takes the packed columns otherwise.</summary>
    /// <param name="place">For column c of 2F as they should lie, gate first where false, the column and half that it is taken from.</param>
    static ExpertWeights Split(Autograd.Tape tape, ExpertWeights e, Func<int, int, (bool IsUp, int Column)> place)
    {
        Autograd.Tensor Half(Autograd.Tensor gate, Autograd.Tensor up, bool wantsUp)
        {
            var f = gate.Columns;
            int[] Ids(bool fromUp) =>
            [
                .. Enumerable.Range(0, gate.Rows * f).Select(i =>
                {
                    var (isUp, column) = place(i % f + (wantsUp ? f : 0), f);
                    return isUp == fromUp ? i / f * f + column : -1;
                }),
            ];
            return tape.Add(tape.GatherElements(gate, Ids(false), gate.Rows, f), tape.GatherElements(up, Ids(true), gate.Rows, f));
        }
        return e with
        {
            WiGate = Half(e.WiGate!, e.Wi, false),
            Wi = Half(e.WiGate!, e.Wi, true),
            BiGate = e.BiGate is null ? null : Half(e.BiGate, e.Bi!, false),
            Bi = e.Bi is null ? null : Half(e.BiGate!, e.Bi, true),
        };
    }

    /// <summary>Stored in turns, taken in halves: column c of the halves is stored column c.</summary>
    static (bool, int) Halves(int column, int f) => (column % 2 == 1, column / 2);

    /// <summary>Stored in halves, taken in turns.</summary>
    static (bool, int) Turns(int column, int f)
    {
        var stored = column < f ? 2 * column : 2 * (column - f) + 1;
        return (stored >= f, stored % f);
    }

    static IEnumerable<LayerFault> OfRouter(DecoderLayer layer, HubExperts experts, int index)
    {
        var router = experts.Router;
        DecoderLayer Routed(RouterWeights with) => With(layer, experts.With(router: with));
        if (router.Weight is { } weight && Turned(layer.Tape, weight, 1) is { } turned)
            yield return new($"router of layer {index} transposed", Routed(router with { Weight = turned }));
        if (router.Bias is not null) yield return new($"bias of the router of layer {index} forgotten", Routed(router with { Bias = null }));
        if (experts.Form.Dialect.RouterNorm)
        {
            yield return Ruled(layer, experts, "norm in front of the router forgotten", experts.Form.Dialect with { RouterNorm = false });
            yield return new("the router reads the experts' norm in place of the residual", layer with { RouterReadsNorm = true });
        }
    }

    static IEnumerable<LayerFault> OfDense(DecoderLayer layer, int index)
    {
        var (tape, dense) = (layer.Tape, layer.Weights.Dense!);
        DecoderLayer Fed(DenseWeights with) => layer with { Weights = layer.Weights with { Dense = with } };
        yield return new($"gate_proj and up_proj exchanged in layer {index}", Fed(dense with { Gate = dense.Up, Up = dense.Gate }));
        if (Transposed(tape, dense.Down) is { } down) yield return new($"down_proj of layer {index} transposed", Fed(dense with { Down = down }));
        if (Transposed(tape, dense.Up) is { } up) yield return new($"up_proj of layer {index} transposed", Fed(dense with { Up = up }));
        if (Transposed(tape, dense.Gate) is { } gate) yield return new($"gate_proj of layer {index} transposed", Fed(dense with { Gate = gate }));
        foreach (var kind in Activations)
            if (kind != layer.Form.Activation)
                yield return new($"{Word(kind)} in place of {Word(layer.Form.Activation)}", layer with { Form = layer.Form with { Activation = kind } });
    }

    static IEnumerable<LayerFault> OfNorms(DecoderLayer layer, int index)
    {
        var (form, name) = (layer.Form, layer.Form.Gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm");
        LayerFault Norm(string sentence, Autograd.Tensor weight) => new(sentence, layer with { Weights = layer.Weights with { FeedForwardNorm = weight } });
        foreach (var epsilon in Epsilons)
            if (epsilon != form.NormEpsilon)
                yield return new($"norm epsilon {Number(epsilon)} in place of {Number(form.NormEpsilon)}", layer with { Form = form with { NormEpsilon = epsilon } });
        yield return new($"{name} of layer {index} skipped", layer with { HasNorm = false });
        yield return Norm($"weights of {name} of layer {index} ignored", Ones(layer.Tape, layer.Weights.FeedForwardNorm));
        yield return Norm($"input_layernorm and {name} exchanged in layer {index}", layer.Weights.AttentionNorm);
        yield return Norm($"weights of {name} of layer {index} taken as 1 + w", layer.Tape.Shift(layer.Weights.FeedForwardNorm, 1));
    }

    static IEnumerable<LayerFault> OfSums(DecoderLayer layer, int index)
    {
        yield return new("residual skipped: the feed-forward's output alone goes on", layer with { HasResidual = false });
        if (layer.Form.ResidualFactor != 1)
            yield return new($"residual multiplier {Number(layer.Form.ResidualFactor)} forgotten", layer with { Form = layer.Form with { ResidualFactor = 1 } });
        if (layer.Weights.Gemma is not { } gemma) yield break;
        LayerFault Other(string sentence, GemmaWeights with) => new(sentence, layer with { Weights = layer.Weights with { Gemma = with } });
        yield return Other($"layer_scalar of layer {index} ignored", gemma with { Scalar = layer.Tape.Constants.Ones(1) });
        if (gemma.AfterDense is { } dense) yield return Other($"norm behind the dense branch of layer {index} ignored", gemma with { AfterDense = Ones(layer.Tape, dense) });
        if (gemma.AfterExperts is { } after) yield return Other($"norm behind the experts of layer {index} ignored", gemma with { AfterExperts = Ones(layer.Tape, after) });
        if (layer.Weights.Experts is { } experts)
        {
            var none = experts.Experts with { Wo = layer.Tape.Scale(experts.Experts.Wo, 0) };
            yield return new($"experts missing in layer {index}: the dense branch alone adds", With(layer, experts.With(experts: none)));
        }
        if (layer.Weights.Dense is { } own)
            yield return new($"dense branch missing in layer {index}: the experts alone add",
                layer with { Weights = layer.Weights with { Dense = own with { Down = own.Down with { Weight = layer.Tape.Scale(own.Down.Weight, 0) } } } });
    }

    /// <summary>Every rule that lies one axis away, those first that others have.</summary>
    static IEnumerable<LayerFault> OfRule(DecoderLayer layer, HubExperts experts)
    {
        var d = experts.Form.Dialect;
        foreach (var (change, dialect) in Neighbours.Of(d).OrderByDescending(n => Neighbours.Plausibility(d, n.Change)))
            if (dialect.LayerKind() == LayerKind.Routed && dialect.Router == d.Router && dialect.K <= experts.Form.Experts)
                yield return Ruled(layer, experts, $"as if {change}", dialect);
    }

    static string Word(Activation kind) => kind switch
    {
        Activation.GeluErf => "gelu",
        Activation.GeluTanh => "gelu_tanh",
        _ => kind.ToString().ToLowerInvariant(),
    };
}
