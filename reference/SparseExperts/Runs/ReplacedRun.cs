namespace SparseExperts.Runs;

/// <summary>
/// The run whose place a new one takes: it lies in <c>.replaced</c>, a run folder itself, until the new one has saved something, and comes back where that
/// ends before. Whoever takes the lock settles what a killed process left.
/// </summary>
/// <param name="folder">The place; its lock is held.</param>
sealed class ReplacedRun(string folder)
{
    const string FolderName = ".replaced", GoneName = ".removed";

    string Aside => Path.Combine(folder, FolderName);

    /// <summary>The settings go aside last and come back first: while they are there, what lies outside is the new run's, and else the old one's.</summary>
    bool IsWhole => File.Exists(TrainingRun.ConfigPath(Aside));

    public bool Exists => Directory.Exists(Aside);

    /// <summary>Where the run is that gives its place to the one in a folder; null where none does.</summary>
    public static string? Of(string folder) => new ReplacedRun(folder) is { Exists: true } replaced ? replaced.Aside : null;

    /// <summary>Puts the run aside. Its settings stay where they are, too, until the new run's take their place.</summary>
    public void PutAside()
    {
        Directory.CreateDirectory(Aside);
        RunParts.Move(folder, Aside);
        HubSource.Copy(TrainingRun.ConfigPath(folder), TrainingRun.ConfigPath(Aside));
    }

    /// <summary>Gives the run its place again, and takes away what the new one left there.</summary>
    public void PutBack()
    {
        if (IsWhole)
        {
            RunParts.Delete(folder);
            File.Move(TrainingRun.ConfigPath(Aside), TrainingRun.ConfigPath(folder), overwrite: true);
        }
        RunParts.Move(Aside, folder);
        Directory.Delete(Aside, recursive: true);
    }

    /// <summary>Deletes it under another name, so that what is deleted halfway is not put back.</summary>
    public void Remove()
    {
        if (!Exists) return;
        var gone = Path.Combine(folder, GoneName);
        Directory.Move(Aside, gone);
        Directory.Delete(gone, recursive: true);
    }

    /// <summary>Ends what a process that was killed between left undone.</summary>
    /// <returns>Whether the old run has its place again, because the new one had saved nothing.</returns>
    public bool Settle()
    {
        var gone = Path.Combine(folder, GoneName);
        if (Directory.Exists(gone)) Directory.Delete(gone, recursive: true);
        if (!Exists) return false;
        if (IsWhole && Checkpoint.Any(TrainingRun.CheckpointFolder(folder)))
        {
            Remove();
            return false;
        }
        PutBack();
        return true;
    }
}
