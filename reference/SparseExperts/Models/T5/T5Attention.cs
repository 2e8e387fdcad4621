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

    public bool SeesEncoder => _sight == T5Sight.Encoder;

    /// <summary>Keys and values of what a decoder looks at.</summary>
    public (Tensor Keys, Tensor Values) Project(Tensor source) => (Parts.Rounded.Linear(source, _k), Parts.Rounded.Linear(source, _v));

    Tensor Mix(Tensor normed, StackInputs inputs)
    {
        if (inputs.Cache is { } cache) return Continue(normed, inputs, cache);
        var memory = _sight == T5Sight.Encoder ? inputs.Memory! : null;
        var source = memory?.Output ?? normed;
        var (q, (k, v)) = (Parts.Rounded.Linear(normed, _q), Project(source));
        var shape = Shape(inputs.Sequences, inputs.Length, memory?.Length ?? inputs.Length);
        return Parts.Attention(shape, q, k, v, memory is null ? inputs.Bias : null, memory is null ? inputs.Pad : memory.Pad);
    }

    /// <summary>One query a text, to what is kept of it; its own key and value are kept first.</summary>
    Tensor Continue(Tensor normed, StackInputs inputs, T5Cache cache)
    {
        var q = Parts.Rounded.Linear(normed, _q);
        if (_sight == T5Sight.Past) cache.Keep(Name, Project(normed));
        var rows = new Tensor[inputs.Sequences];
        for (var r = 0; r < rows.Length; r++)
        {
            var (k, v, pad) = _sight == T5Sight.Past ? cache.OfText(Name, r) : cache.OfInput(Name, r);
            var own = Parts.Tape.RowRange(q, r, 1);
            rows[r] = Parts.Attention(Shape(1, 1, k.Rows), own, k, v, _sight == T5Sight.Past ? inputs.Bias : null, pad);
        }
        return rows.Length == 1 ? rows[0] : Parts.Tape.StackRows(rows);
    }

    AttentionShape Shape(int sequences, int queries, int keys) =>
        new(sequences, queries, keys, Parts.Config.Heads, Parts.Config.HeadWidth, 1, Causal: _sight == T5Sight.Past);
}
