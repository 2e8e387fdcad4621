using System.Diagnostics;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>The steps of a run, what is measured between them, and when it is saved.</summary>
public sealed partial class TrainingRun
{
    const int LogEvery = 20, QuickWindows = 64;

    /// <summary>How long a device may be ahead, in seconds: who watches wants to see something, and a signal saves within two.</summary>
    const double MostAhead = 0.5;

    /// <summary>What a step takes, from those that were heard last; unknown before the first.</summary>
    double _secondsOfStep = double.PositiveInfinity;

    double Progress(double seconds) => Config.Training.Steps > 0
        ? (double)Trainer.Step / Config.Training.Steps
        : (_secondsBefore + seconds) / (Config.Training.Minutes * 60);

    /// <summary>
    /// Trains until steps or minutes are spent, or until <paramref name="cancel"/>; either way the last state is saved, before anything is measured of it.
    /// </summary>
    public RunOutcome Execute(Action<RunProgress> watch, Action<MetricsLine> log, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        double bits = 0, secondsAtLog = 0, heard = 0;
        int steps = 0, tokens = Config.Training.Batch * Config.Model.Lengths.Sum();
        double? heldOut = null;

        // Of steps that are over; the last of them, or null.
        StepResult? Hear(Func<IReadOnlyList<StepResult>> ended)
        {
            var began = clock.Elapsed;
            var results = ended();
            StepTime += clock.Elapsed - began;
            if (results.Count == 0) return null;
            foreach (var one in results.Where(r => !r.Skipped)) bits += one.BitsPerByte;
            steps += results.Count;
            var (last, seconds) = (results[^1], clock.Elapsed.TotalSeconds);
            (_secondsOfStep, heard) = ((seconds - heard) / results.Count, seconds);
            var after = Progress(seconds);
            var left = after > 0 ? (_secondsBefore + seconds) / after * Math.Max(0, 1 - after) : 0;
            watch(new(last with { Skipped = results.Any(r => r.Skipped) }, bits / steps, Speed(seconds), after, left, heldOut));
            return last;
        }
        double Speed(double seconds) => steps * tokens / Math.Max(1e-9, seconds - secondsAtLog);

        while (Progress(clock.Elapsed.TotalSeconds) is var progress && progress < 1 && !cancel.IsCancellationRequested)
        {
            var logging = (Trainer.Step + 1) % LogEvery == 0;
            if (Hear(() => Step(progress, logging)) is not { } result) continue;
            var seconds = heard;
            var after = Progress(seconds);
            if (logging)
            {
                var due = after >= _nextEvaluation && after < 1;
                if (due && Evaluate(QuickWindows, cancel) is { } evaluation)
                {
                    heldOut = evaluation.BitsPerByte;
                    _nextEvaluation = Math.Floor(after * Evaluations + 1) / Evaluations;
                }
                var line = Line(result, bits / steps, Speed(seconds), seconds);
                Write(log, line with { HeldOutBitsPerByte = due && !cancel.IsCancellationRequested ? heldOut : null });
                (bits, steps, secondsAtLog) = (0, 0, clock.Elapsed.TotalSeconds);
            }
            if (Trainer.Step % Config.CheckpointEvery == 0 && after < 1) Save();
        }
        Hear(Trainer.Settle);
        Save();
        return Progress(clock.Elapsed.TotalSeconds) < 1 ? RunOutcome.Interrupted : Finish(log, clock.Elapsed.TotalSeconds, cancel);
    }

    /// <summary>One step more, and what is heard of it and of those before it: nothing, while a device is ahead and nobody needs to know.</summary>
    IReadOnlyList<StepResult> Step(double progress, bool logging)
    {
        if (logging) return [.. Trainer.Settle(), Trainer.Train(_batches, progress)];
        Trainer.Advance(_batches, progress);
        var goesOn = Trainer.StepsAhead > 0 && Trainer.StepsAhead * _secondsOfStep < MostAhead && Trainer.Step % Config.CheckpointEvery != 0;
        return goesOn ? [] : Trainer.Settle();
    }

    /// <summary>Measures the finished model; interrupted, it leaves that to whoever goes on.</summary>
    RunOutcome Finish(Action<MetricsLine> log, double seconds, CancellationToken cancel)
    {
        var last = MetricsFile.Read(MetricsPath(Folder)).LastOrDefault();
        if (last?.Step == Trainer.Step && last.HeldOutBitsPerByte is not null) return RunOutcome.Finished;
        var line = new MetricsLine { Step = Trainer.Step, Seconds = _secondsBefore + seconds, Skipped = Trainer.Skipped };
        if (Evaluate(int.MaxValue, cancel) is not { } evaluation)
        {
            Write(log, line);
            return RunOutcome.Interrupted;
        }
        Write(log, line with
        {
            HeldOutBitsPerByte = evaluation.BitsPerByte,
            DropRate = evaluation.DropRate,
            ExactMatch = Data.Exact(Trainer, Data.HeldOut(Evaluation.Batch, int.MaxValue))?.Share,
        });
        return RunOutcome.Finished;
    }

    /// <summary>Over held-out windows; null where it was interrupted.</summary>
    Evaluation? Evaluate(int windows, CancellationToken cancel)
    {
        var batches = Data.HeldOut(Evaluation.Batch, windows).TakeWhile(_ => !cancel.IsCancellationRequested);
        var evaluation = Evaluation.Run(Trainer, batches);
        return cancel.IsCancellationRequested ? null : evaluation;
    }

    void Save()
    {
        _lock.Require();
        Checkpoint.Save(Trainer, CheckpointFolder(Folder));
        Begun?.Keep();
        Checkpoint.Tidy(CheckpointFolder(Folder), KeepCheckpoints);
    }

    void Write(Action<MetricsLine> log, MetricsLine line)
    {
        MetricsFile.Append(MetricsPath(Folder), line);
        log(line);
    }

    MetricsLine Line(StepResult result, double bits, double speed, double seconds) => new()
    {
        Step = result.Step,
        Seconds = _secondsBefore + seconds,
        TrainBitsPerByte = Finite(bits),
        TokensPerSecond = speed,
        LearningRate = result.Rate,
        GradientNorm = Finite(result.GradientNorm),
        DropRate = result.DropRates.Length > 0 ? result.DropRates.Average() : null,
        LayerDropRate = result.DropRates.Length > 0 ? result.DropRates : null,
        Load = result.Loads.Length > 0 ? result.Loads : null,
        RouterEntropy = result.Entropies.Length > 0 ? result.Entropies : null,
        Skipped = Trainer.Skipped,
    };

    static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
