using SparseExperts.Layers;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>What one training step measured. Loads are shares of choices an expert was asked to take, per sparse layer.</summary>
/// <param name="Skipped">The loss or the gradient was not finite and the parameters were left alone.</param>
public sealed record StepResult(long Step, double BitsPerByte, double GradientNorm, double Rate, bool Skipped,
    double[] DropRates, double[][] Loads, double[] Entropies);

/// <summary>Gathers a <see cref="StepResult"/> from the micro-batches of a step: means of what each of them, equally large, did.</summary>
/// <param name="labelsPerByte">Of the step's batch: what bits of a label become bits of a byte by.</param>
sealed class StepReport(bool details, double labelsPerByte)
{
    readonly List<double[]> _dropRates = [], _entropies = [];
    readonly List<double[][]> _loads = [];
    double _nats, _norm;
    bool _skipped;

    /// <param name="entropy">Of a layer's router, in bits.</param>
    public void Add(IReadOnlyList<SparseResult> sparse, Func<SparseResult, double> entropy)
    {
        if (!details) return;
        _dropRates.Add([.. sparse.Select(s => s.Plan.DropRate)]);
        _loads.Add([.. sparse.Select(s => s.Plan.Load())]);
        _entropies.Add([.. sparse.Select(entropy)]);
    }

    public void Measured(StepOutcome outcome) => (_nats, _norm, _skipped) = (outcome.Nats, outcome.Norm, !outcome.IsTaken);

    public StepResult Of(long step, double rate)
    {
        var bits = _nats / ReproducibleMath.Ln2 * labelsPerByte;
        return details
            ? new(step, bits, _norm, rate, _skipped, Mean(_dropRates), Loads(), Mean(_entropies))
            : new(step, bits, _norm, rate, _skipped, [], [], []);
    }

    double[][] Loads() => [.. Enumerable.Range(0, _loads[0].Length).Select(layer => Mean([.. _loads.Select(l => l[layer])]))];

    static double[] Mean(IReadOnlyList<double[]> rows) => [.. Enumerable.Range(0, rows[0].Length).Select(i => rows.Average(r => r[i]))];
}
