using SparseExperts.Data;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>Where the batches of training steps come from. A batch depends on the number of its step alone, so that a run can go on anywhere.</summary>
public interface IBatches
{
    /// <param name="step">Steps before it.</param>
    TokenBatch Of(long step);
}

/// <summary>Windows of a text of bytes at places that a seed decides, each label the byte after its input; the part of the text is the task.</summary>
public sealed class ByteBatches(ByteText text, ulong seed, int sequences, IModelConfig model) : IBatches
{
    public TokenBatch Of(long step)
    {
        int[] inputs = new int[sequences * model.Context], labels = new int[inputs.Length], tasks = new int[sequences];
        text.Sample(seed, step, sequences, model.Context, inputs, labels, tasks, model.Tasks);
        return new(inputs, sequences) { Labels = labels, Tasks = tasks };
    }

    /// <summary>
    /// Windows that follow each other without overlap, at most so many; what is left at the end is left out. Text that is evaluated counts as following the
    /// last part of the training text, and has its task.
    /// </summary>
    /// <param name="sequences">Windows of a batch at most.</param>
    /// <exception cref="DataException">There is not one window of two bytes.</exception>
    public static IEnumerable<TokenBatch> Windows(ReadOnlyMemory<byte> text, IModelConfig model, int sequences, int maxWindows = int.MaxValue)
    {
        var length = Math.Min(model.Context, text.Length - 1);
        if (length < 1) throw new DataException("evaluation needs at least two bytes; name a longer text", "text");
        return Cut(text, model, length, sequences, Math.Min((text.Length - 1) / length, maxWindows));
    }

    /// <summary>Bytes or tokens at the end of a text of so many that <see cref="Windows"/> leaves out.</summary>
    internal static int LeftOut(int length, IModelConfig model) => (length - 1) % Math.Min(model.Context, length - 1);

    static IEnumerable<TokenBatch> Cut(ReadOnlyMemory<byte> text, IModelConfig model, int length, int sequences, int windows)
    {
        for (var w = 0; w < windows; w += sequences)
        {
            var count = Math.Min(sequences, windows - w);
            int[] inputs = new int[count * length], labels = new int[count * length];
            for (var b = 0; b < count; b++) ByteText.Window(text.Span[((w + b) * length)..], length, inputs.AsSpan(b * length), labels.AsSpan(b * length));
            yield return new(inputs, count) { Labels = labels, Tasks = LastTask(model, count) };
        }
    }

    /// <summary>The task of text that follows the last part of the training text.</summary>
    internal static int[] LastTask(IModelConfig model, int sequences) => [.. Enumerable.Repeat(model.Tasks - 1, sequences)];
}
