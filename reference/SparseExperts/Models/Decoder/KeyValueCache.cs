using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>
/// What a language model need not compute again while one text grows: keys (rotated) and values of every layer, and what its routers were asked.
/// Positions are counted from the start of the text, so that a text that loses its first byte has to be computed anew. Use: <see cref="Prepare"/>, then
/// <see cref="ICausalModel"/> forward with the ids from <see cref="Length"/> on, again while the cache holds less than the text.
/// </summary>
public sealed class KeyValueCache : IDisposable
{
    /// <summary>Positions that a layer has room for at first; texts that grow beyond it get twice as many.</summary>
    const int FirstRoom = 64;

    readonly IBackend _backend;
    readonly (Matrix Keys, Matrix Values)?[] _layers;
    readonly RoutesSoFar?[] _routes;
    readonly int[] _ids;

    KeyValueCache(IBackend backend, IModelConfig config, int context, IEnumerable<string?> sparse)
    {
        _backend = backend;
        var drops = config.Experts > 0 && config.Dialect.CapacityFormula != CapacityFormula.None;
        var dialect = config.Dialect.For(training: false);
        _routes = [.. sparse.Select(place => drops && place is not null ? new RoutesSoFar(dialect, config.Experts, place) : null)];
        _layers = new (Matrix, Matrix)?[_routes.Length];
        _ids = new int[context];
    }

    /// <summary>
    /// That of a model; null where its tokens do not keep what they got when others follow, because routers look at other tokens too
    /// (<see cref="Dialect.RoutesAlone"/>).
    /// </summary>
    /// <param name="context">Positions at most.</param>
    /// <param name="sparse">The places of its sparse layers; null where a layer is dense.</param>
    internal static KeyValueCache? Of(IBackend backend, IModelConfig config, int context, IEnumerable<string?> sparse) =>
        config.Experts == 0 || config.Dialect.RoutesAlone ? new(backend, config, context, sparse) : null;

    /// <summary>Positions that are kept.</summary>
    public int Length { get; private set; }

    /// <summary>Keeps what a text of <paramref name="ids"/> has in common with the last one; at least its last position is to be computed.</summary>
    public void Prepare(ReadOnlySpan<int> ids)
    {
        var same = ids.CommonPrefixLength(_ids.AsSpan(0, Length));
        Cut(Math.Min(same, ids.Length - 1));
        foreach (var routes in _routes) routes?.Begin(ids.Length);
        Cut(Unchanged());
    }

    int Unchanged() => _routes.Aggregate(Length, (least, routes) => Math.Min(least, routes?.Unchanged ?? least));

    void Cut(int length)
    {
        Length = length;
        foreach (var routes in _routes) routes?.Cut(length);
    }

    internal RoutesSoFar? Routes(int layer) => _routes[layer];

    /// <summary>
    /// Attention of the positions that follow to all so far. Columns of <paramref name="qkv"/> are Q, K, V as in <see cref="Op.SelfAttention"/>; their keys
    /// and values are kept.
    /// </summary>
    internal Tensor Attend(Tape tape, int layer, AttentionShape shape, Tensor qkv, RotaryTables? rotary, Tensor? bias)
    {
        var width = shape.Width;
        var qk = qkv.Value.ColumnRange(0, 2 * width);
        if (rotary is { } tables) Op.Rotate(tape, shape, qkv, tables, qk = tape.Rent(qkv.Rows, 2 * width));
        var (keys, values) = Keep(tape, layer, qk.ColumnRange(width, width), qkv.Value.ColumnRange(2 * width, width));
        return tape.Attention(shape with { Keys = keys.Rows }, tape.Constant(qk.ColumnRange(0, width)), keys, values, bias);
    }

    /// <summary>Keeps a layer's keys and values of the positions that follow, a row each; those of all positions so far come back.</summary>
    internal (Tensor Keys, Tensor Values) Keep(Tape tape, int layer, Matrix keys, Matrix values)
    {
        var all = Length + keys.Rows;
        var (keptKeys, keptValues) = Room(layer, all, keys.Columns, values.Columns);
        _backend.Copy(keys, keptKeys.RowRange(Length, keys.Rows));
        _backend.Copy(values, keptValues.RowRange(Length, values.Rows));
        return (tape.Constant(keptKeys.RowRange(0, all)), tape.Constant(keptValues.RowRange(0, all)));
    }

    /// <summary>Matrices of at least so many rows, with what they held.</summary>
    (Matrix Keys, Matrix Values) Room(int layer, int rows, int keyColumns, int valueColumns)
    {
        if (_layers[layer] is { } enough && enough.Keys.Rows >= rows) return enough;
        var room = Math.Min(_ids.Length, Math.Max(rows, _layers[layer] is { } half ? 2 * half.Keys.Rows : FirstRoom));
        var more = (Keys: _backend.Rent(room, keyColumns), Values: _backend.Rent(room, valueColumns));
        if (_layers[layer] is { } old)
        {
            _backend.Copy(old.Keys.RowRange(0, Length), more.Keys.RowRange(0, Length));
            _backend.Copy(old.Values.RowRange(0, Length), more.Values.RowRange(0, Length));
            Return(old);
        }
        _layers[layer] = more;
        return more;
    }

    /// <summary>
    /// All layers have seen these ids. Where they changed what an earlier token gets, nothing from there on is kept, and it has to be computed again.
    /// </summary>
    internal void Advance(ReadOnlySpan<int> ids)
    {
        var unchanged = Unchanged();
        if (unchanged < Length)
        {
            Cut(unchanged);
            return;
        }
        ids.CopyTo(_ids.AsSpan(Length));
        Length += ids.Length;
    }

    void Return((Matrix Keys, Matrix Values) layer)
    {
        _backend.Return(layer.Keys.Storage);
        _backend.Return(layer.Values.Storage);
    }

    public void Dispose()
    {
        foreach (var layer in _layers)
            if (layer is { } kept) Return(kept);
        Array.Clear(_layers);
    }
}
