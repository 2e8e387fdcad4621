using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>Bits per byte over windows that follow each other without overlap; what is left at the end is not counted.</summary>
public sealed record Evaluation(double BitsPerByte, long Bytes, double DropRate)
{
    /// <summary>Windows of a batch.</summary>
    public const int Batch = 16;

    /// <summary>Labels that were compared: as many as bytes, unless a tokenizer makes several bytes one.</summary>
    public long Labels { get; private init; }

    /// <summary>Batches that were run.</summary>
    public int Batches { get; private init; }

    /// <summary>Over all of a text, or its first windows.</summary>
    public static Evaluation Run(Predictor predictor, ReadOnlySpan<byte> text, int maxWindows = int.MaxValue) =>
        Run(predictor, ByteBatches.Windows(text.ToArray(), predictor.Model.Config, Batch, maxWindows));

    public static Evaluation Run(Predictor predictor, IEnumerable<TokenBatch> batches)
    {
        double nats = 0, dropped = 0;
        var (bytes, labels, count) = (0L, 0L, 0);
        foreach (var batch in batches)
        {
            var (sum, drop) = predictor.Evaluate(batch, (result, tape) =>
            {
                using var place = tape.Within("loss");
                var each = predictor.Objective.Losses(tape, batch, result);
                using var reporting = tape.During(Activity.Report);
                var losses = predictor.Backend.ToArray(each.Value);
                return (losses.Sum(l => (double)l), result.Sparse.Count == 0 ? 0 : result.Sparse.Average(s => s.Plan.DropRate));
            });
            nats += sum;
            dropped += drop;
            bytes += batch.LabelBytes;
            labels += batch.Compared;
            count++;
        }
        return new(nats / bytes / ReproducibleMath.Ln2, bytes, dropped / count) { Labels = labels, Batches = count };
    }
}
