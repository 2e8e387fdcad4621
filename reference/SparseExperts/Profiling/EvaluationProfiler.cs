using System.Diagnostics;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Profiling;

/// <summary>Evaluates on a counting backend and profiles it, after one batch in which code is compiled.</summary>
public static class EvaluationProfiler
{
    /// <summary>The evaluation, and its profile, which is written to the run's folder.</summary>
    public static (Evaluation Result, Profile Profile) Run(CountingBackend counter, TrainedRun run, IEnumerable<TokenBatch> batches)
    {
        Evaluation.Run(run.Predictor, batches.Take(1));
        var lasting = counter.LiveBytes;
        counter.Clear();
        var clock = Stopwatch.StartNew();
        var result = Evaluation.Run(run.Predictor, batches);
        var profile = Profile.Of(counter, "evaluate", Trainer.EvaluationPath, result.Batches, clock.Elapsed, recompute: false, lasting);
        profile.Write(TrainingRun.ProfilePath(run.Folder));
        return (result, profile);
    }
}
