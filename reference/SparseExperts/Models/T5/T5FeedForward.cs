using SparseExperts.Autograd;
using SparseExperts.Layers;

namespace SparseExperts.Models;

/// <summary>A dense feed-forward layer: act(x·Wi)·Wo, or (act(x·W₀)∘(x·W₁))·Wo.</summary>
sealed class T5FeedForward : T5Layer
{
    readonly Parameter[] _wi;
    readonly Parameter _wo;

    public T5FeedForward(T5Parts parts, Weights weights, int number) : base(parts, weights, number)
    {
        var (config, own) = (parts.Config, weights.Sub("mlp"));
        string[] names = config.Gated ? ["wi_0", "wi_1"] : ["wi"];
        _wi = [.. names.Select(name => parts.Projection(own, name, config.Width, config.Hidden))];
        _wo = parts.Projection(own, "wo", config.Hidden, config.Width);
    }

    protected override (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs)
    {
        var (rounded, kind, streams) = (Parts.Rounded, Parts.Config.Activation, Streams(inputs));
        Tensor[] hidden = [.. _wi.Select(w => rounded.Linear(normed, w))];
        var active = hidden.Length == 2 ? rounded.Gated(kind, hidden[0], hidden[1]) : rounded.Activate(kind, hidden[0]);
        return (Parts.Residual(x, Parts.Drop(active, inputs, streams[RandomUse.HiddenDropout]), _wo, inputs, streams[RandomUse.FeedForwardDropout]), null);
    }
}

/// <summary>A sparse feed-forward layer.</summary>
sealed class T5Sparse : T5Layer
{
    public T5Sparse(T5Parts parts, Weights weights, int number, LayerShape shape) : base(parts, weights, number) =>
        Block = new(parts.Tape, weights.Sub("mlp"), shape, new(parts.Config.Activation, parts.Config.ExpertDropout) { Format = parts.Format });

    public SparseBlock Block { get; }

    protected override (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs)
    {
        var streams = Streams(inputs);
        var given = new BlockInputs(inputs.Ids, inputs.Tasks, inputs.Sequences, inputs.Pass.Training, streams)
        {
            Importance = inputs.Importance,
            RouterState = inputs.RouterState,
        };
        var result = Block.Forward(normed, given);
        return (Parts.Rounded.Add(x, Parts.Drop(result.Output, inputs, streams[RandomUse.FeedForwardDropout])), result);
    }
}
