using SparseExperts.Autograd;
using SparseExperts.Layers;

namespace SparseExperts.Models;

/// <summary>A dense feed-forward layer: act(x·Wi)·Wo, or (act(x·W₀)∘(x·W₁))·Wo.</summary>
/// <param name="Wi">One or two matrices [D, F].</param>
/// <param name="Wo">[F, D].</param>
sealed record T5FeedForward(T5Parts Parts, string Name, int Number, Tensor Norm, IReadOnlyList<Tensor> Wi, Tensor Wo)
    : T5Layer(Parts, Name, Number, Norm)
{
    public static T5FeedForward Declare(T5Parts parts, Weights weights, int number)
    {
        var (config, own, norm) = (parts.Config, weights.Sub("mlp"), parts.NormWeight(weights, "layer_norm"));
        string[] names = config.Gated ? ["wi_0", "wi_1"] : ["wi"];
        return new(parts, weights.Path, number, norm, [.. names.Select(name => parts.Projection(own, name, config.Width, config.Hidden))],
            parts.Projection(own, "wo", config.Hidden, config.Width));
    }

    protected override (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs)
    {
        var (rounded, kind, streams) = (Parts.Rounded, Parts.Config.Activation, Streams(inputs));
        Tensor[] hidden = [.. Wi.Select(w => rounded.Linear(normed, w))];
        var active = hidden.Length == 2 ? rounded.Gated(kind, hidden[0], hidden[1]) : rounded.Activate(kind, hidden[0]);
        return (Parts.Residual(x, Parts.Drop(active, inputs, streams[RandomUse.HiddenDropout]), Wo, inputs, streams[RandomUse.FeedForwardDropout]), null);
    }
}

/// <summary>A sparse feed-forward layer.</summary>
sealed record T5Sparse(T5Parts Parts, string Name, int Number, Tensor Norm, SparseBlock Block) : T5Layer(Parts, Name, Number, Norm)
{
    public static T5Sparse Declare(T5Parts parts, Weights weights, int number, LayerShape shape)
    {
        var norm = parts.NormWeight(weights, "layer_norm");
        SparseOptions options = new(parts.Config.Activation, parts.Config.ExpertDropout) { Format = parts.Format };
        return new(parts, weights.Path, number, norm, new(parts.Tape, weights.Sub("mlp"), shape, options));
    }

    protected override (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs)
    {
        var streams = Streams(inputs);
        var given = new BlockInputs(inputs.Ids, inputs.Tasks, inputs.Sequences, inputs.Pass.Training, streams)
        {
            TokenMask = inputs.TokenMask,
            RouterState = inputs.RouterState,
            Instead = inputs.Router,
        };
        var result = Block.Forward(normed, given);
        return (Parts.Rounded.Add(x, Parts.Drop(result.Output, inputs, streams[RandomUse.FeedForwardDropout])), result);
    }
}
