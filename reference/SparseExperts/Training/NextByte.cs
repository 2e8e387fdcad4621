using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>
/// Logits of the byte after a text that grows: always those of the whole window, computed anew from the last bytes that the context holds. As long as
/// the window only grows, and its routers look at tokens one by one and drop nobody, its start gives the same keys and values again, and they are kept
/// (<see cref="KeyValueCache"/>): the bits are the same. A window that is full slides, and with it every position.
/// </summary>
/// <param name="caches">False computes every window anew.</param>
public sealed class NextByte(Predictor predictor, bool caches = true) : IDisposable
{
    readonly KeyValueCache? _cache = caches && KeyValueCache.Serves(predictor.Model.Config) ? new(predictor.Backend, predictor.Model.Config) : null;

    /// <summary>Windows that were computed from the cache.</summary>
    public long FromCache { get; private set; }

    /// <param name="window">At most as many bytes as the context holds.</param>
    public float[] Logits(ReadOnlySpan<int> window)
    {
        if (_cache is null || window.Length == predictor.Model.Config.Context && !_cache.Starts(window)) return Run(window, null);
        if (_cache.Starts(window))
        {
            var logits = Run(window[_cache.Length..], _cache);
            if (_cache.Holds)
            {
                FromCache++;
                return logits;
            }
        }
        _cache.Clear();
        return Run(window, _cache);
    }

    /// <summary>Logits after the last of the ids. Generated text is routed like held-out text.</summary>
    float[] Run(ReadOnlySpan<int> ids, KeyValueCache? cache)
    {
        var last = ids.Length - 1;
        return predictor.Evaluate(ids, 1, (result, _) => predictor.Backend.ToArray(result.Logits.Value.RowRange(last, 1)), Evaluation.LastTask(predictor, 1), cache);
    }

    public void Dispose() => _cache?.Dispose();
}
