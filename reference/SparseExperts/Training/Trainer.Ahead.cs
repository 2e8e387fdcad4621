using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>
/// Steps that nobody waits for. Whether a step counts is decided where its numbers lie, and a step after one that was left out changes nothing; so the host
/// may go ahead, and goes back when it hears of one.
/// </summary>
public sealed partial class Trainer
{
    /// <summary>Steps at most that nobody has waited for.</summary>
    const int MostAhead = 63;

    readonly List<StepAhead> _ahead = [];
    readonly List<StepResult> _settled = [];

    /// <param name="Updates">Of the optimizer, before it.</param>
    sealed record StepAhead(IBatches Batches, double Progress, double Rate, double LabelsPerByte, long Updates);

    /// <summary>Steps that nobody has waited for: while there are any, <see cref="Predictor.Step"/> may be too many.</summary>
    public int StepsAhead => _ahead.Count;

    /// <summary>
    /// One step whose numbers stay on the backend until <see cref="Settle"/>. Bits and results are those of <see cref="Train(IBatches, double, bool)"/>.
    /// Where the backend's memory is the host's there is nothing to wait for.
    /// </summary>
    public void Advance(IBatches batches, double progress)
    {
        if (!Backend.Info.HasOwnMemory)
        {
            _settled.Add(Train(batches, progress, details: false));
            return;
        }
        if (_ahead.Count == MostAhead) Recall();
        var (updates, skipped, batch) = (Optimizer.Steps, Skipped, batches.Of(Step));
        try
        {
            var rate = Take(batch, progress, null, null);
            _ahead.Add(new(batches, progress, rate, batch.LabelsPerByte, updates));
            Step++;
        }
        catch (Exception e) when (_ahead.Count > 0 && e is not DeviceFaultException)
        {
            // Behind a step that was left out it may have met numbers that it never should have.
            Recall();
            if (Skipped == skipped) throw;
            _settled.Add(Train(batches, progress, details: false));
        }
    }

    /// <summary>
    /// Waits for the steps that were advanced, and says what each of them measured that nobody has heard of. Where one was left out, it and those after it,
    /// which changed nothing, are taken again. An index that an op could not follow ends the run at its step.
    /// </summary>
    public IReadOnlyList<StepResult> Settle()
    {
        Recall();
        StepResult[] settled = [.. _settled];
        _settled.Clear();
        return settled;
    }

    void Recall()
    {
        if (_ahead.Count == 0) return;
        StepAhead[] ahead = [.. _ahead];
        StepOutcome[] outcomes = StepOutcome.Read(_tape, _numbers.RowRange(0, ahead.Length));
        _ahead.Clear();
        Step -= ahead.Length;
        var taken = outcomes.Count(o => o.IsTaken);
        foreach (var (step, outcome) in ahead.Zip(outcomes).Take(taken))
        {
            var report = new StepReport(details: false, step.LabelsPerByte);
            report.Measured(outcome);
            _settled.Add(report.Of(++Step, step.Rate));
        }
        using (_tape.During(Activity.Report))
        {
            if (taken == ahead.Length)
            {
                Backend.CheckFaults();
                return;
            }
            Backend.TakeFault();            // the step that met it meets it again
        }
        Optimizer.Steps = ahead[taken].Updates;
        foreach (var step in ahead.AsSpan(taken)) _settled.Add(Train(step.Batches, step.Progress, details: false));
    }
}
