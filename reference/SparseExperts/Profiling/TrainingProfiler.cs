using SparseExperts.Runs;

namespace SparseExperts.Profiling;

/// <summary>
/// Profiles a training run on a counting backend. The first step, in which code is compiled and memory first rented, is left out if others follow.
/// </summary>
public sealed class TrainingProfiler(CountingBackend counter, TrainingRun run)
{
    long _first = run.Trainer.Step;
    long? _lasting;
    TimeSpan _before = run.StepTime;

    /// <summary>To be told whenever steps are heard of; the first alone.</summary>
    public void Watch(RunProgress progress)
    {
        if (_lasting is not null) return;
        _lasting = counter.LiveBytes;
        if (progress.Progress >= 1) return;
        counter.Clear();
        (_first, _before) = (run.Trainer.Step, run.StepTime);
    }

    /// <summary>The profile so far, written to the run's folder; null before there was a step.</summary>
    public Profile? Take()
    {
        var steps = run.Trainer.Step - _first;
        if (steps == 0) return null;
        var profile = Profile.Of(counter, "train", "", steps, run.StepTime - _before, run.Config.Training.Recompute, _lasting!.Value);
        profile.Write(TrainingRun.ProfilePath(run.Folder));
        return profile;
    }
}
