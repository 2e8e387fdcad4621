using SparseExperts.Autograd;
using SparseExperts.Layers;

namespace SparseExperts.Models;

/// <summary>
/// The blocks of an encoder (self-attention, feed-forward) or of a decoder (self-attention, cross-attention, feed-forward) and the norm behind them. The first
/// block has the relative positions of all.
/// </summary>
sealed class T5Stack
{
    readonly T5Parts _parts;
    readonly bool _isDecoder;
    readonly int _first;
    readonly T5Layer[][] _blocks;
    readonly Parameter _positions, _finalNorm;

    /// <param name="weights">The place of the stack.</param>
    /// <param name="first">Number of the first block in the streams of random numbers.</param>
    public T5Stack(T5Parts parts, Weights weights, bool isDecoder, int first)
    {
        (_parts, _isDecoder, _first, Name) = (parts, isDecoder, first, weights.Path);
        var config = parts.Config;
        var blocks = weights.Sub("block");
        _blocks = [.. Enumerable.Range(0, isDecoder ? config.DecoderLayers : config.EncoderLayers).Select(i => Block(blocks.Sub(i).Sub("layer"), i))];
        Layers = [.. _blocks.SelectMany(b => b)];
        _positions = blocks.Sub(0).Sub("layer").Sub(0).Sub("SelfAttention")
            .Matrix("relative_attention_bias", config.RelativeBuckets, config.Heads, Starts.TruncatedNormal(config.InitialScale, config.Width));
        _finalNorm = parts.NormWeight(weights, "final_layer_norm");
    }

    public string Name { get; }
    public IReadOnlyList<T5Layer> Layers { get; }

    T5Layer[] Block(Weights weights, int index)
    {
        var number = _first + index;
        var last = weights.Sub(_isDecoder ? 2 : 1);
        var attention = T5Attention.Declare(_parts, weights.Sub(0), number, _isDecoder ? T5Sight.Past : T5Sight.Everything);
        T5Attention[] cross = _isDecoder ? [T5Attention.Declare(_parts, weights.Sub(1), number, T5Sight.Encoder)] : [];
        T5Layer feed = _parts.Config.IsSparse(_isDecoder, index)
            ? T5Sparse.Declare(_parts, last, number, _parts.Config.LayerShape(_isDecoder, index))
            : T5FeedForward.Declare(_parts, last, number);
        return [attention, .. cross, feed];
    }

    /// <param name="x">Embeddings [B·S, D].</param>
    /// <returns>The last norm's output [B·S, D], and what the sparse layers did.</returns>
    public (Tensor Output, IReadOnlyList<SparseResult> Sparse) Forward(Tensor x, StackInputs inputs)
    {
        var (tape, sparse) = (_parts.Tape, new List<SparseResult>());
        LayerStreams own = new(inputs.Pass.Streams, inputs.Pass.Step, _first);
        x = _parts.Drop(x, inputs, own[RandomUse.EmbeddingDropout]);
        inputs = inputs with { Bias = Positions(inputs.Length, (inputs.Cache?.Length ?? 0) + inputs.Length) };
        foreach (var block in _blocks)
        {
            var given = inputs with { RouterState = sparse.LastOrDefault()?.RouterState };
            (x, var result) = tape.InSegment(() => Through(block, x, given), b => [b.Output, .. b.Sparse?.Kept ?? []]);
            if (result is not null) sparse.Add(result);
        }
        return (_parts.Drop(Finish(x), inputs, own[RandomUse.FinalDropout]), sparse);
    }

    static (Tensor Output, SparseResult? Sparse) Through(T5Layer[] block, Tensor x, StackInputs inputs)
    {
        SparseResult? sparse = null;
        foreach (var layer in block)
        {
            (x, var result) = layer.Forward(x, inputs);
            sparse ??= result;
        }
        return (x, sparse);
    }

    /// <summary>The last norm.</summary>
    public Tensor Finish(Tensor x) => _parts.Norm(x, _finalNorm);

    /// <summary>The same with another ε.</summary>
    public Tensor Finish(Tensor x, double epsilon) => _parts.Rounded.Norm(x, _finalNorm, epsilon);

    /// <summary>What relative positions add to the scores [H·Q, K], the queries at the end of the keys.</summary>
    /// <param name="bidirectional">Whether the two directions have buckets of their own; by default as the stack's have.</param>
    public Tensor Positions(int queries, int keys, bool? bidirectional = null, int? maxDistance = null) => RelativePositions.Bias(
        _parts.Tape, _positions, queries, keys, bidirectional ?? !_isDecoder, maxDistance ?? _parts.Config.RelativeMaxDistance);

    public void AfterStep(IReadOnlyList<SparseResult> sparse, StepOutcome? outcome)
    {
        foreach (var (layer, result) in Sparse.Zip(sparse)) layer.Block.AfterStep(result, outcome);
    }

    public IEnumerable<T5Sparse> Sparse => _blocks.Select(b => b[^1]).OfType<T5Sparse>();
}
