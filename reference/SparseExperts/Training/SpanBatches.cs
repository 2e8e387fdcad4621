using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;

namespace SparseExperts.Training;

/// <summary>
/// Pairs for an encoder and a decoder by T5's span corruption: windows of a text at places that a seed decides, each as long as fills the inputs. Which
/// window, and which spans of it, depends on the seed and on the sequence's place among all that were ever drawn, so that shards and resumed runs see the
/// same.
/// </summary>
/// <param name="inputs">Tokens that the encoder reads at most, end token included.</param>
public sealed class SpanBatches(ReadOnlyMemory<int> text, TextToTextIds ids, SpanCorruption corruption, int inputs, ulong seed, int sequences) : IBatches
{
    readonly RandomStream _places = new Streams(seed).Named("text/windows");
    readonly RandomStream _noise = new Streams(seed).Named("text/noise"), _nonnoise = new Streams(seed).Named("text/nonnoise");

    /// <summary>Tokens of a window.</summary>
    public int Tokens { get; } = Fitting(text.Length, ids, corruption, inputs);

    /// <summary>Tokens of the corrupted window and of its target, end tokens included: the same for every sequence.</summary>
    public (int Encoder, int Decoder) Lengths => Sides(corruption.Counts(Tokens));

    /// <summary>
    /// The tokens of a window: what <see cref="SpanCorruption.Lengths"/> says, less where the rounding of the corruption itself makes the inputs longer.
    /// </summary>
    static int Fitting(int available, TextToTextIds ids, SpanCorruption corruption, int inputs)
    {
        var tokens = Math.Max(2, corruption.Lengths(inputs).Tokens);
        while (tokens > 2 && Sides(corruption.Counts(tokens)).Encoder > inputs) tokens--;
        if (Sides(corruption.Counts(tokens)).Encoder > inputs) throw new DataException($"inputs of {inputs} tokens: too few for one span", "context");
        if (available < tokens)
            throw new DataException($"{available} tokens of text are fewer than a sequence's {tokens}; name a longer text", "text", "context");
        ids.Require(corruption.Counts(tokens).Spans);
        return tokens;
    }

    static (int Encoder, int Decoder) Sides((int Length, int Noise, int Spans) counts) =>
        (counts.Length - counts.Noise + counts.Spans + 1, counts.Noise + counts.Spans + 1);

    public TokenBatch Of(long step)
    {
        var pairs = new TextPair[sequences];
        for (var b = 0; b < sequences; b++)
        {
            var number = (ulong)(step * sequences + b);
            pairs[b] = Pair((int)(Philox.UniformDouble(_places, number) * (text.Length - Tokens + 1)), number);
        }
        return PairBatch.Of(pairs, ids, Lengths.Encoder, Lengths.Decoder);
    }

    /// <summary>Windows that follow each other without overlap, each with the spans of its number; what is left at the end is left out.</summary>
    public IEnumerable<TokenBatch> Windows(int atMost = int.MaxValue)
    {
        var windows = Math.Min(text.Length / Tokens, atMost);
        for (var w = 0; w < windows; w += sequences)
        {
            var pairs = Enumerable.Range(w, Math.Min(sequences, windows - w)).Select(i => Pair(i * Tokens, (ulong)i)).ToArray();
            yield return PairBatch.Of(pairs, ids, Lengths.Encoder, Lengths.Decoder);
        }
    }

    TextPair Pair(int start, ulong number)
    {
        var (length, noise, _) = corruption.Counts(Tokens);
        var first = number * (ulong)length;
        var mask = corruption.Mask(Tokens, Shuffle.Order(_noise, first, noise - 1), Shuffle.Order(_nonnoise, first, length - noise - 1));
        var window = text.Span.Slice(start, Tokens);
        return new(
            [.. SpanCorruption.Inputs(window, mask, ids.Vocabulary), ids.End],
            [.. SpanCorruption.Targets(window, mask, ids.Vocabulary), ids.End]);
    }
}
