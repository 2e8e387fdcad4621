namespace SparseExperts.Runs;

/// <summary>
/// The folder of a run that begins. A settings file alone would be neither a run that can be measured nor a free place for the next try, so it is taken
/// back where the run ends, in its first steps or because nothing can be printed, before it has saved anything; and a run that it was to replace is there
/// again. A killed run leaves its settings, where it replaced none: it goes on from the start.
/// </summary>
/// <param name="isMade">Whether the folder itself was made for the run.</param>
sealed class BegunFolder(string folder, bool isMade, RunLock held)
{
    readonly ReplacedRun _replaced = new(folder);
    bool _hadRun;

    /// <summary>Makes room for the new run.</summary>
    public void Clear()
    {
        _hadRun = File.Exists(TrainingRun.ConfigPath(folder));
        if (_hadRun) _replaced.PutAside();
    }

    /// <summary>The new run has saved something: what it replaced is not needed any more.</summary>
    public void Keep() => _replaced.Remove();

    /// <summary>
    /// Leaves the place as it was found, unless there is something to go on from, or to look at in a new folder, or the place is another's by now.
    /// </summary>
    public void TakeBack()
    {
        try
        {
            if (!held.IsOurs || Checkpoint.Any(TrainingRun.CheckpointFolder(folder))) return;
            if (_replaced.Exists)
            {
                _replaced.PutBack();
                return;
            }
            if (_hadRun || File.Exists(TrainingRun.MetricsPath(folder))) return;
            File.Delete(TrainingRun.ConfigPath(folder));
            RunParts.Delete(folder);
            held.Remove();
            if (isMade && !Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What ended the run is what there is to say.
        }
    }
}
