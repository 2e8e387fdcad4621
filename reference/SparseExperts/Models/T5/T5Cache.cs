using SparseExperts.Autograd;

namespace SparseExperts.Models;

/// <summary>
/// What a decoder need not compute again while its texts grow: keys and values of every text so far, and of the inputs that they are about. A token is routed
/// with the tokens that come in the same step alone, as in transformers with <c>use_cache</c>: a capacity by sequence never binds then.
/// </summary>
sealed class T5Cache : IDisposable
{
    readonly T5Parts _parts;
    readonly int _most, _inputLength;
    readonly Dictionary<string, (Matrix Keys, Matrix Values)> _ofInputs = [];
    readonly Matrix? _pad;
    readonly string[] _own;
    Dictionary<string, (Matrix Keys, Matrix Values)> _ofTexts = [];
    int[] _inputOf = [];

    /// <param name="layers">The decoder's attention layers.</param>
    /// <param name="most">Tokens of a text at most.</param>
    public T5Cache(T5Parts parts, IEnumerable<T5Attention> layers, Encoded memory, int most)
    {
        (_parts, _most, _inputLength) = (parts, most, memory.Length);
        _pad = memory.Pad is { } pad ? Kept(pad) : null;
        List<string> own = [];
        foreach (var layer in layers)
        {
            if (layer.SeesEncoder)
            {
                var (keys, values) = layer.Project(memory.Output);
                _ofInputs[layer.Name] = (Kept(keys.Value), Kept(values.Value));
            }
            else own.Add(layer.Name);
        }
        _own = [.. own];
    }

    /// <summary>Tokens of every text that are kept.</summary>
    public int Length { get; private set; }

    Matrix Kept(Matrix from)
    {
        var kept = _parts.Tape.Backend.Rent(from.Rows, from.Columns);
        _parts.Tape.Backend.Copy(from, kept);
        return kept;
    }

    /// <summary>Forgets all texts; the next ones are about these inputs.</summary>
    public void Begin(int[] inputOf) => Take([.. Enumerable.Repeat(-1, inputOf.Length)], inputOf, 0);

    /// <summary>Text r goes on from what text <paramref name="from"/>[r] was.</summary>
    public void Reorder(int[] from) => Take(from, [.. from.Select(r => _inputOf[r])], Length);

    void Take(int[] from, int[] inputOf, int length)
    {
        var backend = _parts.Tape.Backend;
        Dictionary<string, (Matrix, Matrix)> taken = [];
        Matrix New(Matrix? old)
        {
            var rows = backend.Rent(from.Length * _most, _parts.Config.Inner);
            for (var r = 0; r < from.Length && length > 0; r++)
                backend.Copy(old!.Value.RowRange(from[r] * _most, length), rows.RowRange(r * _most, length));
            return rows;
        }
        foreach (var name in _own)
        {
            var old = _ofTexts.TryGetValue(name, out var known) ? known : ((Matrix Keys, Matrix Values)?)null;
            taken[name] = (New(old?.Keys), New(old?.Values));
        }
        Return(_ofTexts);
        (_ofTexts, _inputOf, Length) = (taken, inputOf, length);
    }

    /// <summary>Keeps one more key and value of every text.</summary>
    public void Keep(string layer, (Tensor Keys, Tensor Values) more)
    {
        var (keys, values) = _ofTexts[layer];
        for (var r = 0; r < _inputOf.Length; r++)
        {
            _parts.Tape.Backend.Copy(more.Keys.Value.RowRange(r, 1), keys.RowRange(r * _most + Length, 1));
            _parts.Tape.Backend.Copy(more.Values.Value.RowRange(r, 1), values.RowRange(r * _most + Length, 1));
        }
    }

    /// <summary>All layers have kept theirs.</summary>
    public void Advance() => Length++;

    /// <summary>Keys and values of a text, those of this step with them.</summary>
    public (Tensor Keys, Tensor Values, Matrix? Pad) OfText(string layer, int text)
    {
        var (keys, values) = _ofTexts[layer];
        Tensor Rows(Matrix of) => _parts.Tape.Constant(of.RowRange(text * _most, Length + 1));
        return (Rows(keys), Rows(values), null);
    }

    /// <summary>Keys and values of the input that a text is about.</summary>
    public (Tensor Keys, Tensor Values, Matrix? Pad) OfInput(string layer, int text)
    {
        var (keys, values) = _ofInputs[layer];
        Tensor Rows(Matrix of) => _parts.Tape.Constant(of.RowRange(_inputOf[text] * _inputLength, _inputLength));
        return (Rows(keys), Rows(values), _pad?.RowRange(_inputOf[text], 1));
    }

    void Return(Dictionary<string, (Matrix Keys, Matrix Values)> matrices)
    {
        foreach (var (keys, values) in matrices.Values)
        {
            _parts.Tape.Backend.Return(keys.Storage);
            _parts.Tape.Backend.Return(values.Storage);
        }
        matrices.Clear();
    }

    public void Dispose()
    {
        Return(_ofTexts);
        Return(_ofInputs);
        if (_pad is { } pad) _parts.Tape.Backend.Return(pad.Storage);
    }
}
