using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;

namespace SparseExperts.Training;

/// <summary>Windows of a text of tokens at places that a seed decides, each label the token after its input; the part of the text is the task.</summary>
public sealed class TokenBatches(TokenText text, ulong seed, int sequences, IModelConfig model) : IBatches
{
    readonly int _places = text.Length > model.Context
        ? text.Length - model.Context
        : throw new DataException($"{text.Length} tokens are too few for sequences of {model.Context}; name a longer text", "text", "context");

    public TokenBatch Of(long step)
    {
        var stream = new Streams(seed).At(0, 0, RandomUse.Data);
        var starts = new int[sequences];
        for (var b = 0; b < sequences; b++) starts[b] = (int)(Philox.UniformDouble(stream, (ulong)(step * sequences + b)) * _places);
        return Batch(text, starts, model.Context) with { Tasks = [.. starts.Select(s => (int)((long)s * model.Tasks / text.Length))] };
    }

    /// <summary>Windows that follow each other without overlap, at most so many; what is left at the end is left out.</summary>
    /// <param name="count">Windows of a batch at most.</param>
    /// <exception cref="DataException">There is not one window of two tokens.</exception>
    public static IEnumerable<TokenBatch> Windows(TokenText text, IModelConfig model, int count, int maxWindows = int.MaxValue)
    {
        var length = Math.Min(model.Context, text.Length - 1);
        if (length < 1) throw new DataException("evaluation needs at least two tokens; name a longer text", "text");
        var windows = Math.Min((text.Length - 1) / length, maxWindows);
        return Enumerable.Range(0, windows).Chunk(count)
            .Select(some => Batch(text, [.. some.Select(w => w * length)], length) with { Tasks = ByteBatches.LastTask(model, some.Length) });
    }

    static TokenBatch Batch(TokenText text, int[] starts, int length)
    {
        int[] inputs = new int[starts.Length * length], labels = new int[inputs.Length];
        for (var b = 0; b < starts.Length; b++)
        {
            text.Ids.Span.Slice(starts[b], length).CopyTo(inputs.AsSpan(b * length));
            text.Ids.Span.Slice(starts[b] + 1, length).CopyTo(labels.AsSpan(b * length));
        }
        return new(inputs, starts.Length) { Labels = labels, Bytes = [.. starts.Select(s => text.Bytes(s + 1, s + 1 + length))] };
    }
}
