using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Ops;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking.Switch;

/// <summary>A layer that does something else, perhaps with other inputs, and what that is.</summary>
readonly record struct SwitchFault(string Sentence, T5Layer With, Func<StackInputs, StackInputs> Inputs);

/// <summary>What layers of an encoder and decoder may do instead.</summary>
static class SwitchFaults
{
    public static string Epsilon(double wrong, double right) => $"norm epsilon {Short(wrong)} in place of {Short(right)}";

    static string Short(double value) => value == 0 ? "0" : value.ToString("0.####e0", CultureInfo.InvariantCulture);

    public static IEnumerable<SwitchFault> Of(T5Model model, T5Stack stack, T5Layer layer)
    {
        var own = layer switch
        {
            T5Attention attention => OfAttention(stack, attention, !ReferenceEquals(stack, model.Encoder)),
            T5FeedForward dense => OfDense(dense),
            T5Sparse sparse => new SwitchSparseFaults(sparse).All(),
            var other => throw new InvalidOperationException($"unknown layer {other.GetType().Name}"),
        };
        return own.Concat(OfNorm(layer)).Concat(OfSum(layer)).Concat(OfOthers(model, layer));
    }

    internal static SwitchFault Fault(string sentence, T5Layer layer, Func<StackInputs, StackInputs>? inputs = null) =>
        new(sentence, layer, inputs ?? (i => i));

    /// <summary>The block in words: <c>encoder block 0</c>.</summary>
    public static string Block(T5Layer layer) => layer.Name[..layer.Name.IndexOf(".layer.", StringComparison.Ordinal)].Replace('.', ' ');

    static IEnumerable<SwitchFault> OfSum(T5Layer layer)
    {
        yield return Fault("residual skipped: the layer's output alone goes on", layer with { Sum = HalfSum.Nothing });
        yield return Fault("residual taken behind the norm", layer with { Sum = HalfSum.Norm });
        yield return Fault("residual added twice", layer with { Sum = HalfSum.InputTwice });
    }

    /// <summary>Matrices of another block's layer of the same kind.</summary>
    static IEnumerable<SwitchFault> OfOthers(T5Model model, T5Layer layer)
    {
        foreach (var other in model.Encoder.Layers.Concat(model.Decoder.Layers))
        {
            if (ReferenceEquals(other, layer)) continue;
            SwitchFault Its(string what, T5Layer with) => Fault($"{what} of {other.Name} in {layer.Name}", with);
            switch (layer, other)
            {
                case (T5Attention own, T5Attention its):
                    yield return Its("matrices", own with { Q = its.Q, K = its.K, V = its.V, O = its.O, Norm = its.Norm });
                    yield return Its("attention", own with { Q = its.Q, K = its.K, V = its.V, O = its.O });
                    yield return Its("q", own with { Q = its.Q });
                    yield return Its("k", own with { K = its.K });
                    yield return Its("v", own with { V = its.V });
                    yield return Its("o", own with { O = its.O });
                    break;
                case (T5FeedForward own, T5FeedForward its):
                    yield return Its("matrices", own with { Wi = its.Wi, Wo = its.Wo, Norm = its.Norm });
                    yield return Its("wi and wo", own with { Wi = its.Wi, Wo = its.Wo });
                    break;
                case (T5Sparse own, T5Sparse its):
                    yield return Its("matrices", own with { Block = own.Block.With(router: its.Block.Router, experts: its.Block.Experts), Norm = its.Norm });
                    yield return Its("router and experts", own with { Block = own.Block.With(router: its.Block.Router, experts: its.Block.Experts) });
                    yield return Its("experts", own with { Block = own.Block.With(experts: its.Block.Experts) });
                    yield return Its("router", own with { Block = own.Block.With(router: its.Block.Router) });
                    break;
            }
            yield return Its("norm", layer with { Norm = other.Norm });
        }
    }

    static IEnumerable<SwitchFault> OfNorm(T5Layer layer)
    {
        var (tape, config) = (layer.Parts.Tape, layer.Parts.Config);
        foreach (var epsilon in Epsilons.Where(e => e != config.NormEpsilon))
            yield return Fault(Epsilon(epsilon, config.NormEpsilon), layer with { Parts = With(layer, config with { NormEpsilon = epsilon }) });
        yield return Fault("norm skipped", layer with { Before = HalfNorm.None });
        yield return Fault("mean subtracted in the norm, which is one of squares", layer with { Before = HalfNorm.MeanSubtracted });
        yield return Fault("weights of the norm ignored", layer with { Norm = tape.Constant(tape.Constants.Ones(config.Width).Reshape(1, config.Width)) });
    }

    static T5Parts With(T5Layer layer, T5Config config) => layer.Parts with { Config = config };

    static IEnumerable<SwitchFault> OfAttention(T5Stack stack, T5Attention layer, bool isDecoder)
    {
        var (tape, config) = (layer.Parts.Tape, layer.Parts.Config);
        var kind = layer.SeesEncoder ? "cross-attention" : "self-attention";
        var place = $"the {kind} of {Block(layer)}";
        yield return Fault($"q and k exchanged in {place}", layer with { Q = layer.K, K = layer.Q });
        yield return Fault($"k and v exchanged in {place}", layer with { K = layer.V, V = layer.K });
        yield return Fault($"q and v exchanged in {place}", layer with { Q = layer.V, V = layer.Q });
        foreach (var (name, with) in TurnedParts(tape, layer)) yield return Fault($"{name} transposed in {place}", with);
        yield return Fault($"scores divided by the root of the head's width in {place}", layer with { Scale = 1 / Math.Sqrt(config.HeadWidth) });
        yield return Fault($"scores divided by the head's width in {place}", layer with { Scale = 1.0 / config.HeadWidth });
        Matrix? Reversed(Matrix? pad) => pad is { } mask ? tape.Constant(mask.Rows, mask.Columns,
            [.. tape.Backend.ToDoubles(mask).Chunk(mask.Columns).SelectMany(row => row.Reverse()).Select(v => (float)v)]).Value : null;
        if (layer.SeesEncoder)
        {
            yield return Fault("padding of the encoder ignored in cross-attention", layer, i => i with { Memory = i.Memory! with { Pad = null } });
            yield return Fault("padding of the encoder taken on the other side in cross-attention", layer,
                i => i with { Memory = i.Memory! with { Pad = Reversed(i.Memory.Pad) } });
            yield break;
        }
        yield return Fault("relative position bias missing", layer, i => i with { Bias = null });
        yield return Fault("relative positions with the sign turned round", layer, i => i with { Bias = Turned(tape, i.Bias!, config.Heads) });
        foreach (var max in (int[])[128, 20, 64, 256])
            if (max != config.RelativeMaxDistance)
                yield return Fault($"relative distances counted up to {max} in place of {config.RelativeMaxDistance}", layer,
                    i => i with { Bias = stack.Positions(i.Length, i.Length, maxDistance: max) });
        yield return Fault(isDecoder ? "relative positions of both directions in the decoder" : "relative positions of one direction in the encoder", layer,
            i => i with { Bias = stack.Positions(i.Length, i.Length, bidirectional: isDecoder) });
        if (isDecoder) yield return Fault("causal mask ignored", layer with { Sight = T5Sight.Everything });
        else
        {
            yield return Fault("padding ignored in the encoder's self-attention", layer, i => i with { Pad = null });
            yield return Fault("padding taken on the other side", layer, i => i with { Pad = Reversed(i.Pad) });
            yield return Fault("the encoder sees the past alone", layer with { Sight = T5Sight.Past });
        }
    }

    static IEnumerable<(string, T5Attention)> TurnedParts(Tape tape, T5Attention layer)
    {
        if (layer.Q.Rows != layer.Q.Columns) yield break;
        yield return ("q", layer with { Q = tape.Transpose(layer.Q) });
        yield return ("k", layer with { K = tape.Transpose(layer.K) });
        yield return ("v", layer with { V = tape.Transpose(layer.V) });
        yield return ("o", layer with { O = tape.Transpose(layer.O) });
    }

    internal static readonly Activation[] Activations = [Activation.Relu, Activation.GeluTanh, Activation.GeluErf, Activation.Silu, Activation.Identity];

    static IEnumerable<SwitchFault> OfDense(T5FeedForward layer)
    {
        var (tape, config) = (layer.Parts.Tape, layer.Parts.Config);
        foreach (var other in Activations.Where(a => a != config.Activation))
            yield return Fault($"activation {other} in place of {config.Activation}", layer with { Parts = With(layer, config with { Activation = other }) });
        if (layer.Wi is [{ Rows: var rows, Columns: var columns } wi] && rows == columns)
        {
            yield return Fault("wi transposed", layer with { Wi = [tape.Transpose(wi)] });
            yield return Fault("wo transposed", layer with { Wo = tape.Transpose(layer.Wo) });
        }
    }
}
