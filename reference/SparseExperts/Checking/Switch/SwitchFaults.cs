using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Checking.Switch;

/// <summary>A layer that does something else, perhaps with other inputs, and what that is.</summary>
readonly record struct SwitchFault(string Sentence, T5Layer With, Func<StackInputs, StackInputs> Inputs);

/// <summary>What layers of an encoder and decoder may do instead.</summary>
static class SwitchFaults
{
    /// <summary>Values that libraries use for ε.</summary>
    public static readonly double[] Epsilons = [1e-5, 1e-6, 1e-8, 1e-12, 1e-7, 1e-4, 1e-3, 0];

    public static string Epsilon(double wrong, double right) => $"norm epsilon {Number(wrong)} in place of {Number(right)}";

    static string Number(double value) => value == 0 ? "0" : value.ToString("0.####e0", CultureInfo.InvariantCulture);

    public static IEnumerable<SwitchFault> Of(T5Model model, T5Stack stack, T5Layer layer)
    {
        var own = layer switch
        {
            T5Attention attention => OfAttention(stack, attention, !ReferenceEquals(stack, model.Encoder)),
            T5FeedForward dense => OfDense(dense),
            T5Sparse sparse => OfSparse(sparse),
            var other => throw new InvalidOperationException($"unknown layer {other.GetType().Name}"),
        };
        return own.Concat(OfNorm(layer));
    }

    static SwitchFault Fault(string sentence, T5Layer layer, Func<StackInputs, StackInputs>? inputs = null) => new(sentence, layer, inputs ?? (i => i));

    static IEnumerable<SwitchFault> OfNorm(T5Layer layer)
    {
        var (tape, config) = (layer.Parts.Tape, layer.Parts.Config);
        foreach (var epsilon in Epsilons.Where(e => e != config.NormEpsilon))
            yield return Fault(Epsilon(epsilon, config.NormEpsilon), layer with { Parts = With(layer, config with { NormEpsilon = epsilon }) });
        yield return Fault("weights of the norm ignored", layer with { Norm = tape.Constant(tape.Constants.Ones(config.Width).Reshape(1, config.Width)) });
    }

    static T5Parts With(T5Layer layer, T5Config config) => layer.Parts with { Config = config };

    static IEnumerable<SwitchFault> OfAttention(T5Stack stack, T5Attention layer, bool isDecoder)
    {
        var (tape, config) = (layer.Parts.Tape, layer.Parts.Config);
        var kind = layer.SeesEncoder ? "cross-attention" : "self-attention";
        var block = layer.Name[..layer.Name.IndexOf(".layer.", StringComparison.Ordinal)].Replace('.', ' ');
        var place = $"the {kind} of {block}";
        yield return Fault($"q and k exchanged in {place}", layer with { Q = layer.K, K = layer.Q });
        yield return Fault($"k and v exchanged in {place}", layer with { K = layer.V, V = layer.K });
        yield return Fault($"q and v exchanged in {place}", layer with { Q = layer.V, V = layer.Q });
        foreach (var (name, with) in Turned(tape, layer)) yield return Fault($"{name} transposed in {place}", with);
        yield return Fault($"scores divided by the root of the head's width in {place}", layer with { Scale = 1 / Math.Sqrt(config.HeadWidth) });
        if (layer.SeesEncoder)
        {
            yield return Fault("padding of the encoder ignored in cross-attention", layer, i => i with { Memory = i.Memory! with { Pad = null } });
            yield break;
        }
        yield return Fault("relative position bias missing", layer, i => i with { Bias = null });
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
            yield return Fault("the encoder sees the past alone", layer with { Sight = T5Sight.Past });
        }
    }

    static IEnumerable<(string, T5Attention)> Turned(Tape tape, T5Attention layer)
    {
        if (layer.Q.Rows != layer.Q.Columns) yield break;
        yield return ("q", layer with { Q = tape.Transpose(layer.Q) });
        yield return ("k", layer with { K = tape.Transpose(layer.K) });
        yield return ("v", layer with { V = tape.Transpose(layer.V) });
        yield return ("o", layer with { O = tape.Transpose(layer.O) });
    }

    static readonly Activation[] Activations = [Activation.Relu, Activation.GeluTanh, Activation.GeluErf, Activation.Silu, Activation.Identity];

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

    static IEnumerable<SwitchFault> OfSparse(T5Sparse layer)
    {
        var (tape, block) = (layer.Parts.Tape, layer.Block);
        var d = block.Dialect;
        SwitchFault Rule(string sentence, Dialect dialect) => Fault(sentence, layer with { Block = block.With(dialect) });
        foreach (var more in (int[])[1, -1])
            if (d.Capacity + more is > 0 and var capacity) yield return Rule($"capacity {capacity} in place of {d.Capacity}", d with { Capacity = capacity });
        yield return Rule("capacity never enforced", d with { CapacityFormula = CapacityFormula.None, Capacity = null });
        yield return Rule("capacity counted over the whole batch in place of each row", d with { GroupSize = 0 });
        yield return Rule("padding took no place in the experts", d with { Padding = PaddingRule.Skipped });
        yield return Rule("dropped tokens passed on times their gate in place of 0", d with { DroppedOutput = DroppedOutput.GateTimesInput });
        yield return Rule("gate not applied", d with { Gate = Gate.One });
        yield return Rule("gate applied to the experts' input", d with { ApplyGateTo = GatePlace.Input });
        var own = layer.Parts.Config.Activation;
        foreach (var other in Activations.Where(a => a != own))
            yield return Fault($"activation {other} of the experts in place of {own}", layer with { Block = block.With(activation: other) });
        if (block.Router.Weight is { } router && router.Rows == router.Columns)
            yield return Fault("router transposed", layer with { Block = block.With(router: block.Router with { Weight = tape.Transpose(router) }) });
        foreach (var (name, from) in Orders(layer.Parts.Config.Experts))
            yield return Fault($"experts {name}", layer with
            {
                Block = block.With(experts: block.Experts with
                {
                    Wi = Placed(tape, block.Experts.Wi, layer.Parts.Config.Experts, from),
                    Wo = Placed(tape, block.Experts.Wo, layer.Parts.Config.Experts, from),
                }),
            });
    }

    static IEnumerable<(string, Func<int, int>)> Orders(int experts)
    {
        yield return ("in reverse order", e => experts - 1 - e);
        yield return ("shifted by one", e => (e + 1) % experts);
        yield return ("shifted back by one", e => (e + experts - 1) % experts);
    }

    /// <summary>A stack of matrices in another order.</summary>
    static Tensor Placed(Tape tape, Tensor stack, int count, Func<int, int> from)
    {
        var each = stack.Rows / count;
        return tape.GatherRows(stack, tape.UploadPlan([.. Enumerable.Range(0, stack.Rows).Select(r => from(r / each) * each + r % each)]));
    }
}
