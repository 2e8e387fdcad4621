namespace SparseExperts.Runs;

/// <summary>A folder that is either whole or not there: written under another name beside its place, then renamed.</summary>
static class NewFolder
{
    /// <param name="write">Fills the folder that it is given.</param>
    /// <exception cref="RunException">There is something at the place.</exception>
    public static void Write(string path, Action<string> write)
    {
        TrainingRun.RefuseToClobber(path, force: null);
        var parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))
            ?? throw new RunException($"{path}: is no place for a folder; name a folder", "out");
        Directory.CreateDirectory(parent);
        var temporary = Path.Combine(parent, $".{Path.GetFileName(Path.TrimEndingDirectorySeparator(path))}.{Guid.NewGuid():N}.tmp");
        Directory.CreateDirectory(temporary);
        try
        {
            write(temporary);
            // Made anew, or empty: nobody's.
            if (Directory.Exists(path)) Directory.Delete(path, recursive: false);
            Directory.Move(temporary, path);
        }
        catch
        {
            Directory.Delete(temporary, recursive: true);
            throw;
        }
    }
}
