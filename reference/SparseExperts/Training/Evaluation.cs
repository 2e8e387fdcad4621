using SparseExperts.Autograd;
using SparseExperts.Data;
using SparseExperts.Ops;

namespace SparseExperts.Training;

/// <summary>Bits per byte over windows that follow each other without overlap; what is left at the end is not counted.</summary>
public sealed record Evaluation(double BitsPerByte, long Bytes, double DropRate)
{
    /// <summary>Windows of a batch.</summary>
    internal const int Batch = 16;

    /// <summary>Batches that were run.</summary>
    public int Batches { get; private init; }

    /// <summary>Held-out text follows the last part of the training text, and is routed like it.</summary>
    internal static int[] LastTask(Predictor predictor, int sequences) => [.. Enumerable.Repeat(predictor.Model.Config.Tasks - 1, sequences)];

    public static Evaluation Run(Predictor predictor, ReadOnlySpan<byte> text, int maxWindows = int.MaxValue)
    {
        var length = Math.Min(predictor.Model.Config.Context, text.Length - 1);
        if (length < 1) throw new DataException("evaluation needs at least two bytes; name a longer text");
        var windows = Math.Min((text.Length - 1) / length, maxWindows);
        double nats = 0, dropped = 0;
        var batches = 0;
        for (var w = 0; w < windows; w += Batch, batches++)
        {
            var count = Math.Min(Batch, windows - w);
            int[] inputs = new int[count * length], labels = new int[count * length];
            for (var b = 0; b < count; b++) ByteText.Window(text[((w + b) * length)..], length, inputs.AsSpan(b * length), labels.AsSpan(b * length));
            var (sum, drop) = predictor.Evaluate(inputs, count, (result, tape) =>
            {
                using var place = tape.In("loss");
                var each = tape.CrossEntropy(result.Logits, tape.Upload(labels));
                using var reporting = tape.During(Activity.Report);
                var losses = predictor.Backend.ToArray(each.Value);
                return (losses.Sum(l => (double)l), result.Sparse.Count == 0 ? 0 : result.Sparse.Average(s => s.Plan.DropRate));
            }, LastTask(predictor, count));
            nats += sum;
            dropped += drop;
        }
        var bytes = (long)windows * length;
        return new(nats / bytes / ReproducibleMath.Ln2, bytes, dropped / batches) { Batches = batches };
    }
}
