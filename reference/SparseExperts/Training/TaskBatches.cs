using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;

namespace SparseExperts.Training;

/// <summary>
/// Tasks in text for an encoder and a decoder: all of them once, in an order that the seed and the round decide, then all again. Inputs and targets end with
/// the end token; longer ones than the model has places are cut before it.
/// </summary>
public sealed class TaskBatches : IBatches
{
    readonly TextPair[] _pairs;
    readonly TextToTextIds _ids;
    readonly int _sequences;
    readonly RandomStream _orders;

    /// <summary>The order of the round that was asked for last.</summary>
    (long Round, int[] Order) _last = (-1, []);

    /// <param name="encoder">Tokens that the encoder reads at most, end token included.</param>
    /// <param name="decoder">Tokens that the decoder writes at most, end token included.</param>
    public TaskBatches(IReadOnlyList<TextTask> tasks, ITokenizer tokenizer, TextToTextIds ids, int encoder, int decoder, ulong seed, int sequences)
    {
        if (tasks.Count == 0) throw new DataException("no tasks to learn from; name a file that has some");
        (_ids, _sequences, _orders) = (ids, sequences, new Streams(seed).Named("text/tasks"));
        _pairs = [.. tasks.AsParallel().AsOrdered().Select(t => Pair(t, tokenizer, ids))];
        Lengths = (Math.Min(encoder, _pairs.Max(p => p.Input.Length)), Math.Min(decoder, _pairs.Max(p => p.Target.Length)));
        Shortened = _pairs.Count(p => p.Input.Length > Lengths.Encoder || p.Target.Length > Lengths.Decoder);
        for (var i = 0; i < _pairs.Length; i++) _pairs[i] = new(Shortest(_pairs[i].Input, Lengths.Encoder), Shortest(_pairs[i].Target, Lengths.Decoder));
    }

    /// <summary>Tokens of every sequence on both sides, padding included: those of the longest task, or what the model has places for.</summary>
    public (int Encoder, int Decoder) Lengths { get; }

    /// <summary>Tasks that were longer than there are places.</summary>
    public int Shortened { get; }

    static TextPair Pair(TextTask task, ITokenizer tokenizer, TextToTextIds ids) =>
        new([.. tokenizer.Encode(task.Input).Ids, ids.End], [.. tokenizer.Encode(task.Target).Ids, ids.End]);

    int[] Shortest(int[] text, int length) => text.Length <= length ? text : [.. text[..(length - 1)], _ids.End];

    public TokenBatch Of(long step) => Batch(Enumerable.Range(0, _sequences).Select(b => At(step * _sequences + b)));

    TextPair At(long number)
    {
        var round = number / _pairs.Length;
        if (_last.Round != round) _last = (round, Shuffle.Order(_orders, (ulong)round * (ulong)_pairs.Length, _pairs.Length));
        return _pairs[_last.Order[number % _pairs.Length]];
    }

    /// <summary>All tasks in order, once.</summary>
    public IEnumerable<TokenBatch> All() => _pairs.Chunk(_sequences).Select(Batch);

    TokenBatch Batch(IEnumerable<TextPair> pairs) => PairBatch.Of([.. pairs], _ids, Lengths.Encoder, Lengths.Decoder);
}
