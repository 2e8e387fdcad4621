using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>
/// A text that grows, and the logits of what may follow: always those of the whole window, the last tokens that the context holds, each at its place in the
/// window and routed with the others. Keys and values of its start are kept as long as they are the same, so that mostly one position is computed
/// (<see cref="KeyValueCache"/>); the bits are those of the window computed anew. They are not kept when the window is full and slides, because every position
/// changes; from a token on that gets or loses a slot because the text is longer; and not at all by routers that look
/// at other tokens too (<see cref="ICausalModel.NewCache"/>).
/// </summary>
/// <param name="caches">False computes every window anew.</param>
public sealed class GrowingText(Predictor predictor, bool caches = true) : IDisposable
{
    readonly KeyValueCache? _cache = Causal(predictor.Model) is var model && caches ? model.NewCache() : null;

    static ICausalModel Causal(IModel model) =>
        model as ICausalModel ?? throw new ConfigurationException($"{model.Config.Family}: models of this family do not continue texts; name a run of another");

    /// <summary>Positions that were computed so far.</summary>
    public long Computed { get; private set; }

    /// <param name="window">At most as many tokens as the context holds.</param>
    public float[] Logits(ReadOnlySpan<int> window)
    {
        if (_cache is null) return Run(window);
        _cache.Prepare(window);
        float[] logits;
        do logits = Run(window[_cache.Length..]);
        while (_cache.Length < window.Length);
        return logits;
    }

    /// <summary>Logits after the last of the ids. Generated text is routed like held-out text.</summary>
    float[] Run(ReadOnlySpan<int> ids)
    {
        var last = ids.Length - 1;
        Computed += ids.Length;
        var batch = new TokenBatch(ids.ToArray(), 1) { Tasks = ByteBatches.LastTask(predictor.Model.Config, 1) };
        return predictor.Evaluate(batch, (result, _) => predictor.Backend.ToArray(result.Logits.Value.RowRange(last, 1)), _cache);
    }

    public void Dispose() => _cache?.Dispose();
}
