using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>
/// What a language model need not compute again while one text grows: keys (rotated) and values of every layer, and what its routers were asked.
/// Positions are counted from the start of the text, so that a text that loses its first byte has to be computed anew.
/// </summary>
public sealed class KeyValueCache : IDisposable
{
    readonly IBackend _backend;
    readonly (Matrix Keys, Matrix Values)[] _layers;
    readonly RoutesSoFar?[] _routes;
    readonly int[] _ids;

    /// <exception cref="ArgumentException">The routers of the model look at other tokens too, so that there is nothing to keep.</exception>
    public KeyValueCache(IBackend backend, ModelConfig config)
    {
        if (!Serves(config)) throw new ArgumentException($"{config.Dialect.Name} routes a token by what others get; compute the whole text again", nameof(config));
        _backend = backend;
        _layers = [.. Enumerable.Range(0, config.Layers).Select(_ => (backend.Rent(config.Context, config.Width), backend.Rent(config.Context, config.Width)))];
        _routes = [.. Enumerable.Range(0, config.Layers).Select(i => config.IsSparse(i) ? new RoutesSoFar(config.Experts) : null)];
        _ids = new int[config.Context];
    }

    /// <summary>Whether tokens of the model keep what they got when others follow: always in a dense model, else as its dialect says.</summary>
    public static bool Serves(ModelConfig config) => config.Experts == 0 || config.Dialect.RoutesAlone;

    /// <summary>Positions that are kept.</summary>
    public int Length { get; private set; }

    /// <summary>False as soon as the text as a whole would drop a token somewhere: what was computed with the cache is then not what it gives.</summary>
    public bool Holds => _routes.All(r => r?.Holds != false);

    /// <summary>Whether the cache holds a proper start of <paramref name="ids"/>.</summary>
    public bool Starts(ReadOnlySpan<int> ids) => Holds && Length > 0 && Length < ids.Length && ids.StartsWith(_ids.AsSpan(0, Length));

    /// <summary>Forgets the text.</summary>
    public void Clear()
    {
        Length = 0;
        foreach (var routes in _routes) routes?.Clear();
    }

    internal RoutesSoFar? Routes(int layer) => _routes[layer];

    /// <summary>
    /// Attention of the positions that follow to all so far. Columns of <paramref name="qkv"/> are Q, K, V as in <see cref="Op.SelfAttention"/>; their keys
    /// and values are kept.
    /// </summary>
    internal Tensor Attend(Tape tape, int layer, AttentionShape shape, Tensor qkv, RotaryTables? rotary, Tensor? bias)
    {
        var (width, more) = (shape.Width, shape.Queries);
        var (keys, values) = _layers[layer];
        var qk = qkv.Value.ColumnRange(0, 2 * width);
        if (rotary is { } tables) Op.Rotate(tape, shape, qkv, tables, qk = tape.Rent(qkv.Rows, 2 * width));
        _backend.Copy(qk.ColumnRange(width, width), keys.RowRange(Length, more));
        _backend.Copy(qkv.Value.ColumnRange(2 * width, width), values.RowRange(Length, more));
        var all = shape with { Keys = Length + more };
        Tensor Kept(Matrix rows) => tape.Constant(rows.RowRange(0, all.Keys));
        return tape.Attention(all, tape.Constant(qk.ColumnRange(0, width)), Kept(keys), Kept(values), bias);
    }

    /// <summary>All layers have seen these ids.</summary>
    internal void Advance(ReadOnlySpan<int> ids)
    {
        ids.CopyTo(_ids.AsSpan(Length));
        Length += ids.Length;
    }

    public void Dispose()
    {
        foreach (var (keys, values) in _layers)
        {
            _backend.Return(keys.Storage);
            _backend.Return(values.Storage);
        }
    }
}
