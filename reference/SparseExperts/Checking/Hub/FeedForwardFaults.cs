using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking.Hub;

/// <summary>What the second half of a layer may do instead.</summary>
static class FeedForwardFaults
{
    /// <summary>What models do wrong, in the order in which it is looked for.</summary>
    public static IEnumerable<LayerFault> Usual(DecoderLayer layer, int index) =>
        (Routed(layer, index)?.Usual() ?? []).Concat(OfDense(layer, index)).Concat(OfNorms(layer, index)).Concat(OfSums(layer, index));

    /// <summary>Every rule of the routed part that lies one axis away.</summary>
    public static IEnumerable<LayerFault> Rules(DecoderLayer layer, int index) => Routed(layer, index)?.Rules() ?? [];

    /// <summary>Narrower formats of the router that a recording shows.</summary>
    public static IEnumerable<LayerFault> Formats(DecoderLayer layer, int index, Recording recording) => Routed(layer, index)?.Formats(recording) ?? [];

    static RoutedFaults? Routed(DecoderLayer layer, int index) => layer.Weights.Experts is { } experts ? new(layer, experts, index) : null;

    static IEnumerable<LayerFault> OfDense(DecoderLayer layer, int index)
    {
        if (layer.Weights.Dense is not { } dense) yield break;
        LayerFault Fed(string sentence, DenseWeights with) => new(sentence, layer with { Weights = layer.Weights with { Dense = with } });
        string Turned(string name) => $"{name} of layer {index} transposed";
        yield return Fed($"gate_proj and up_proj exchanged in layer {index}", dense with { Gate = dense.Up, Up = dense.Gate });
        if (Transposed(layer.Tape, dense.Down) is { } down) yield return Fed(Turned("down_proj"), dense with { Down = down });
        if (Transposed(layer.Tape, dense.Up) is { } up) yield return Fed(Turned("up_proj"), dense with { Up = up });
        if (Transposed(layer.Tape, dense.Gate) is { } gate) yield return Fed(Turned("gate_proj"), dense with { Gate = gate });
        foreach (var kind in Activations)
            if (kind != layer.Form.Activation)
                yield return new($"{Word(kind)} in place of {Word(layer.Form.Activation)}", layer with { Form = layer.Form with { Activation = kind } });
    }

    static IEnumerable<LayerFault> OfNorms(DecoderLayer layer, int index)
    {
        var (form, name, own) = (layer.Form, layer.Form.Gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm", layer.Weights.FeedForwardNorm);
        LayerFault Norm(string sentence, Tensor weight) => new(sentence, layer with { Weights = layer.Weights with { FeedForwardNorm = weight } });
        foreach (var epsilon in Epsilons)
        {
            if (epsilon == form.NormEpsilon) continue;
            var other = layer with { Form = form with { NormEpsilon = epsilon } };
            yield return new($"norm epsilon {Number(epsilon)} in place of {Number(form.NormEpsilon)}", other);
        }
        yield return new($"{name} of layer {index} skipped", layer with { Before = HalfNorm.None });
        yield return new($"mean subtracted in {name} of layer {index}, which is a norm of squares", layer with { Before = HalfNorm.MeanSubtracted });
        yield return Norm($"weights of {name} of layer {index} ignored", Ones(layer.Tape, own));
        yield return Norm($"input_layernorm and {name} exchanged in layer {index}", layer.Weights.AttentionNorm);
        yield return Norm($"weights of {name} of layer {index} taken as 1 + w", layer.Tape.Shift(own, 1));
    }

    static IEnumerable<LayerFault> OfSums(DecoderLayer layer, int index)
    {
        yield return new("residual skipped: the feed-forward's output alone goes on", layer with { Sum = HalfSum.Nothing });
        yield return new("residual taken behind the norm of the feed-forward", layer with { Sum = HalfSum.Norm });
        yield return new("residual added twice to the feed-forward's output", layer with { Sum = HalfSum.InputTwice });
        var factor = layer.Form.ResidualFactor;
        if (factor != 1) yield return new($"residual multiplier {Number(factor)} forgotten", layer with { Form = layer.Form with { ResidualFactor = 1 } });
        if (layer.Weights.Gemma is { } gemma)
            foreach (var fault in OfGemma(layer, gemma, index)) yield return fault;
    }

    static IEnumerable<LayerFault> OfGemma(DecoderLayer layer, GemmaWeights gemma, int index)
    {
        var (tape, weights) = (layer.Tape, layer.Weights);
        LayerFault Other(string sentence, GemmaWeights with) => new(sentence, layer with { Weights = weights with { Gemma = with } });
        yield return Other($"layer_scalar of layer {index} ignored", gemma with { Scalar = tape.Constants.Ones(1) });
        if (gemma is not { AfterDense: { } dense, AfterExperts: { } after } || weights is not { Experts: { } experts, Dense: { } own }) yield break;
        yield return Other($"weights of the norm behind the dense branch of layer {index} ignored", gemma with { AfterDense = Ones(tape, dense) });
        yield return Other($"weights of the norm behind the experts of layer {index} ignored", gemma with { AfterExperts = Ones(tape, after) });
        yield return Other($"norms behind both branches of layer {index} exchanged", gemma with { AfterDense = after, AfterExperts = dense });
        var silent = experts.With(experts: experts.Experts with { Wo = tape.Scale(experts.Experts.Wo, 0) });
        yield return new($"experts missing in layer {index}: the dense branch alone adds", layer with { Weights = weights with { Experts = silent } });
        var none = own with { Down = own.Down with { Weight = tape.Scale(own.Down.Weight, 0) } };
        yield return new($"dense branch missing in layer {index}: the experts alone add", layer with { Weights = weights with { Dense = none } });
    }
}
