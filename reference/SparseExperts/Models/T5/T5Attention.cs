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
sealed class T5Attention : T5Layer
{
    readonly T5Sight _sight;
    readonly Parameter _q, _k, _v, _o;

    public T5Attention(T5Parts parts, Weights weights, int number, T5Sight sight) : base(parts, weights, number)
    {
        _sight = sight;
        var (config, own) = (parts.Config, weights.Sub(sight == T5Sight.Encoder ? "EncDecAttention" : "SelfAttention"));
        _q = parts.Projection(own, "q", config.Width, config.Inner, 1 / Math.Sqrt(config.HeadWidth));
        _k = parts.Projection(own, "k", config.Width, config.Inner);
        _v = parts.Projection(own, "v", config.Width, config.Inner);
        _o = parts.Projection(own, "o", config.Inner, config.Width);
    }

    protected override (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs)
    {
        var use = _sight == T5Sight.Encoder ? RandomUse.CrossAttentionDropout : RandomUse.AttentionDropout;
        return (Parts.Residual(x, Mix(normed, inputs), _o, inputs, Streams(inputs)[use]), null);
    }

    Tensor Mix(Tensor normed, StackInputs inputs)
    {
        var memory = _sight == T5Sight.Encoder ? inputs.Memory! : null;
        var source = memory?.Output ?? normed;
        var (q, k, v) = (Parts.Rounded.Linear(normed, _q), Parts.Rounded.Linear(source, _k), Parts.Rounded.Linear(source, _v));
        var shape = Shape(inputs.Sequences, inputs.Length, memory?.Length ?? inputs.Length);
        return Parts.Rounded.Attention(shape, q, k, v, memory is null ? inputs.Bias : null, memory is null ? inputs.Pad : memory.Pad);
    }

    AttentionShape Shape(int sequences, int queries, int keys) =>
        new(sequences, queries, keys, Parts.Config.Heads, Parts.Config.HeadWidth, 1, Causal: _sight == T5Sight.Past);
}
