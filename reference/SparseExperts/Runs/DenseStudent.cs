using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// From a sparse run to its dense twin: a student that begins with what the teacher has outside of its experts and learns from labels and teacher (Fedus et al.
/// 2022, section 4.2), and the same twin without a teacher, with which it is compared.
/// </summary>
public static class DenseStudent
{
    /// <summary>The dense twin's run.</summary>
    /// <param name="folder">Of the sparse run.</param>
    /// <param name="share">Of the loss that the teacher has; null for the twin that learns alone.</param>
    /// <param name="backend">Where the student is computed, exactly, which need not be where its teacher was.</param>
    /// <exception cref="ConfigurationException">The run is no sparse one, or has no twin.</exception>
    /// <exception cref="RunException">The run has no text.</exception>
    public static RunConfig Config(string folder, RunConfig sparse, TrainingConfig training, double? share, string backend, int threads)
    {
        if (sparse.Model.FixedBy is { } why)
            throw new ConfigurationException($"{folder}: is {why}, and cannot be distilled; name the run of an own decoder or of a Switch");
        if (sparse.IsImported)
            throw new RunException($"{folder}: was imported and has no text; name a run that began with it and learnt from one");
        if (sparse.Model.Experts == 0) throw new ConfigurationException($"{folder}: is a dense run; name a sparse one");
        return sparse with
        {
            Model = sparse.Model.With(new() { Experts = 0 }),
            Training = training,
            Backend = backend,
            Precision = Precision.Exact,
            Threads = threads,
            From = share is null ? null : Path.GetFullPath(folder),
            Teacher = share is { } soft ? new(Path.GetFullPath(folder), soft) : null,
        };
    }

    /// <summary>Puts the teacher's matrices that are not its experts' into the student.</summary>
    public static void Begin(string folder, Trainer student)
    {
        var path = Checkpoint.LoadNewest(TrainingRun.CheckpointFolder(folder), p => Checkpoint.LoadCommon(student, p), isWriter: false, out _);
        if (path is null) throw TrainingRun.NoCheckpoint(folder, TrainingRun.ReadConfig(folder));
    }

    /// <summary>How much of what the sparse model gains over the dense one the student keeps: 1 is all; null where there is no gain to keep.</summary>
    public static double? Kept(double sparse, double dense, double student) => dense > sparse ? (dense - student) / (dense - sparse) : null;
}
