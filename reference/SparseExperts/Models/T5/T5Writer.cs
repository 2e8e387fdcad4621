using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>
/// The decoder over a batch that was encoded once: logits of the tokens that may follow texts of equal length. With a cache a step computes one token of
/// each text, and routes those alone; without, whole texts are computed and routed, so that capacities count what was written before (transformers'
/// <c>use_cache</c>).
/// </summary>
public sealed class T5Writer : ITextWriter
{
    readonly Tape _tape;
    readonly T5Model _model;
    readonly TokenBatch _inputs;
    readonly T5Cache? _cache;
    readonly Matrix _memory;
    readonly Matrix? _pad;
    WrittenText[] _kept = [];

    /// <param name="inputs">Ids, and a mask where they have padding.</param>
    /// <param name="most">Tokens of a text at most, the start included.</param>
    public T5Writer(Tape tape, T5Model model, TokenBatch inputs, int most, bool caches = true)
    {
        (_tape, _model, _inputs) = (tape, model, inputs);
        (_memory, _pad, _cache) = Alone(() =>
        {
            var encoded = model.Encode(inputs, default);
            return (Copy(encoded.Output.Value), encoded.Pad is { } pad ? Copy(pad) : (Matrix?)null, caches ? model.NewCache(encoded, most) : null);
        });
    }

    Matrix Copy(Matrix from)
    {
        var kept = _tape.Backend.Rent(from.Rows, from.Columns);
        _tape.Backend.Copy(from, kept);
        return kept;
    }

    /// <summary>Logits of every text's next token [texts][vocabulary].</summary>
    public double[][] Logits(IReadOnlyList<WrittenText> texts) => _cache is null ? OfWhole(texts) : OfLast(texts, _cache);

    double[][] OfWhole(IReadOnlyList<WrittenText> texts) => Alone(() =>
    {
        var (length, each) = (texts[0].Ids.Length, _inputs.Ids.Length / _inputs.Sequences);
        int[] rows = [.. texts.SelectMany(t => Enumerable.Range(t.Input * each, each))], sequences = [.. texts.Select(t => t.Input)];
        var output = _tape.LookUp(_tape.Constant(_memory), _tape.Upload(rows), each);
        Matrix? pad = _pad is { } of ? _tape.GatherRows(_tape.Constant(of), _tape.Upload(sequences)).Value : null;
        var batch = new TokenBatch([], texts.Count) { DecoderIds = [.. texts.SelectMany(t => t.Ids)] };
        var logits = _model.Head(_model.Decode(batch, default, new(output, each, pad, [])).Output);
        return Enumerable.Range(0, texts.Count).Select(t => _tape.Backend.ToDoubles(logits.Value.RowRange((t + 1) * length - 1, 1))).ToArray();
    });

    double[][] OfLast(IReadOnlyList<WrittenText> texts, T5Cache cache)
    {
        var length = texts[0].Ids.Length;
        int[] from = [.. texts.Select(t => Array.FindIndex(_kept, k => k.Input == t.Input && k.Ids.AsSpan().SequenceEqual(t.Ids.AsSpan(0, length - 1))))];
        if (length > 1 && !from.Contains(-1)) cache.Reorder(from);
        else
        {
            // Texts that nobody has begun: their tokens one after the other, as if they had been written.
            cache.Begin([.. texts.Select(t => t.Input)]);
            for (var i = 0; i + 1 < length; i++) Step(texts, i, cache);
        }
        var logits = Step(texts, length - 1, cache);
        _kept = [.. texts];
        return logits;
    }

    double[][] Step(IReadOnlyList<WrittenText> texts, int place, T5Cache cache) => Alone(() =>
    {
        var logits = _model.Continue([.. texts.Select(t => t.Ids[place])], cache);
        return Enumerable.Range(0, texts.Count).Select(t => _tape.Backend.ToDoubles(logits.Value.RowRange(t, 1))).ToArray();
    });

    /// <summary>Without a record, and with nothing rented afterwards.</summary>
    T Alone<T>(Func<T> compute)
    {
        var recorded = _tape.Recording;
        _tape.Recording = false;
        try
        {
            var result = compute();
            _tape.CheckFaults();
            return result;
        }
        finally
        {
            _tape.Reset();
            _tape.Recording = recorded;
        }
    }

    public void Dispose()
    {
        _cache?.Dispose();
        _tape.Backend.Return(_memory.Storage);
        if (_pad is { } pad) _tape.Backend.Return(pad.Storage);
    }
}
