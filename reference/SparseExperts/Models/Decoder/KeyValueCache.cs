using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>
/// What a language model need not compute again while one text grows: keys (rotated) and values of every layer, and what its routers were asked.
/// Positions are counted from the start of the text, so that a text that loses its first byte has to be computed anew. Use: <see cref="Prepare"/>, then
/// <see cref="LanguageModel.Forward"/> with the ids from <see cref="Length"/> on, again while the cache holds less than the text.
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
        var drops = config.Experts > 0 && config.Dialect.CapacityFormula != CapacityFormula.None;
        _routes = [.. Enumerable.Range(0, config.Layers).Select(i => drops && config.IsSparse(i) ? new RoutesSoFar(config.Dialect.For(training: false), config.Experts, $"blocks.{i}") : null)];
        _ids = new int[config.Context];
    }

    /// <summary>Whether tokens of the model keep what they got when others follow: always in a dense model, else as its dialect says.</summary>
    public static bool Serves(ModelConfig config) => config.Experts == 0 || config.Dialect.RoutesAlone;

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

    public void Dispose()
    {
        foreach (var (keys, values) in _layers)
        {
            _backend.Return(keys.Storage);
            _backend.Return(values.Storage);
        }
    }
}
