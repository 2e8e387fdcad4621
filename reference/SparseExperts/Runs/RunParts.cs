namespace SparseExperts.Runs;

/// <summary>What a run keeps in its folder besides its settings; whatever else lies there is somebody's.</summary>
static class RunParts
{
    /// <summary>Those that are there.</summary>
    public static IReadOnlyList<string> Of(string folder)
    {
        List<string> parts = [TrainingRun.CheckpointFolder(folder), HubSource.UnfinishedOf(folder)];
        if (HubSource.Exists(folder)) parts.Add(HubSource.FolderOf(folder));
        parts.AddRange([TrainingRun.MetricsPath(folder), TrainingRun.ReportPath(folder), TrainingRun.ProfilePath(folder)]);
        parts.AddRange(RunTokenizer.Names.Select(name => Path.Combine(folder, name)));
        return [.. parts.Where(Path.Exists)];
    }

    public static void Delete(string folder)
    {
        foreach (var part in Of(folder))
            if (File.Exists(part)) File.Delete(part);
            else Directory.Delete(part, recursive: true);
    }

    public static void Move(string from, string to)
    {
        foreach (var part in Of(from)) Directory.Move(part, Path.Combine(to, Path.GetFileName(part)));      // which moves files, too
    }
}
