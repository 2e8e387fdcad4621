using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>Which keys an attention layer sees.</summary>
enum T5Sight { Everything, Past, Encoder }

/// <summary>
/// Attention of T5: no scale (it lies in q's start values), no biases, relative positions added to the scores of self-attention and none in
/// cross-attention (Raffel et al. 2020, section 2.1; transformers modeling_switch_transformers.py).
/// </summary>
/// <param name="Q">[D, H·d], as K and V are; O [H·d, D].</param>
sealed record T5Attention(T5Parts Parts, string Name, int Number, Tensor Norm, T5Sight Sight, Tensor Q, Tensor K, Tensor V, Tensor O)
    : T5Layer(Parts, Name, Number, Norm)
{
    public static T5Attention Declare(T5Parts parts, Weights weights, int number, T5Sight sight)
    {
        var (config, own) = (parts.Config, weights.Sub(sight == T5Sight.Encoder ? "EncDecAttention" : "SelfAttention"));
        return new(parts, weights.Path, number, parts.NormWeight(weights, "layer_norm"), sight,
            parts.Projection(own, "q", config.Width, config.Inner, 1 / Math.Sqrt(config.HeadWidth)),
            parts.Projection(own, "k", config.Width, config.Inner),
            parts.Projection(own, "v", config.Width, config.Inner),
            parts.Projection(own, "o", config.Inner, config.Width));
    }

    public bool SeesEncoder => Sight == T5Sight.Encoder;

    /// <summary>What the scores are multiplied by.</summary>
    public double Scale { get; init; } = 1;

    protected override (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs)
    {
        var use = SeesEncoder ? RandomUse.CrossAttentionDropout : RandomUse.AttentionDropout;
        return (Parts.Residual(x, Mix(normed, inputs), O, inputs, Streams(inputs)[use]), null);
    }

    /// <summary>Keys and values of what a decoder looks at.</summary>
    public (Tensor Keys, Tensor Values) Project(Tensor source) => (Parts.Rounded.Linear(source, K), Parts.Rounded.Linear(source, V));

    Tensor Mix(Tensor normed, StackInputs inputs)
    {
        if (inputs.Cache is { } cache) return Continue(normed, inputs, cache);
        var memory = SeesEncoder ? inputs.Memory! : null;
        var (q, (k, v)) = (Parts.Rounded.Linear(normed, Q), Project(memory?.Output ?? normed));
        var shape = Shape(inputs.Sequences, inputs.Length, memory?.Length ?? inputs.Length);
        return Parts.Attention(shape, q, k, v, memory is null ? inputs.Bias : null, memory is null ? inputs.Pad : memory.Pad);
    }

    /// <summary>One query a text, to what is kept of it; its own key and value are kept first.</summary>
    Tensor Continue(Tensor normed, StackInputs inputs, T5Cache cache)
    {
        var q = Parts.Rounded.Linear(normed, Q);
        if (!SeesEncoder) cache.Keep(Name, Project(normed));
        var rows = new Tensor[inputs.Sequences];
        for (var r = 0; r < rows.Length; r++)
        {
            var (k, v, pad) = SeesEncoder ? cache.OfInput(Name, r) : cache.OfText(Name, r);
            var own = Parts.Tape.RowRange(q, r, 1);
            rows[r] = Parts.Attention(Shape(1, 1, k.Rows), own, k, v, SeesEncoder ? null : inputs.Bias, pad);
        }
        return rows.Length == 1 ? rows[0] : Parts.Tape.StackRows(rows);
    }

    AttentionShape Shape(int sequences, int queries, int keys) =>
        new(sequences, queries, keys, Parts.Config.Heads, Parts.Config.HeadWidth, Scale, Causal: Sight == T5Sight.Past);
}
