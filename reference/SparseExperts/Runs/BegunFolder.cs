namespace SparseExperts.Runs;

/// <summary>
/// The folder of a run that begins. A settings file alone would be neither a run that can be measured nor a free place for the next try, so it is taken
/// back where the run ends, in its first steps or because nothing can be printed, before it has saved anything. A killed run leaves it: it goes on from the
/// start.
/// </summary>
/// <param name="isMade">Whether the folder itself was made for the run.</param>
sealed class BegunFolder(string folder, bool isMade, RunLock held)
{
    /// <summary>Removes what an earlier run left.</summary>
    public void Clear()
    {
        // First what says that here is a run, so that a folder that is left between is not one run's settings and another's weights.
        File.Delete(TrainingRun.ConfigPath(folder));
        var checkpoints = TrainingRun.CheckpointFolder(folder);
        if (Directory.Exists(checkpoints)) Directory.Delete(checkpoints, true);
        foreach (var path in (string[])[TrainingRun.MetricsPath(folder), TrainingRun.ReportPath(folder), TrainingRun.ProfilePath(folder)]) File.Delete(path);
        HubSource.Renew(null, folder);
        RunTokenizer.Delete(folder);
    }

    /// <summary>Leaves the place as it was found, unless there is something to go on from or to look at, or the place is another's by now.</summary>
    public void TakeBack()
    {
        try
        {
            if (!held.IsOurs || File.Exists(TrainingRun.MetricsPath(folder)) || Checkpoint.Any(TrainingRun.CheckpointFolder(folder))) return;
            Clear();
            held.Remove();
            if (isMade && !Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What ended the run is what there is to say.
        }
    }
}
