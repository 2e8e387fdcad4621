using System.Globalization;

namespace SparseExperts.Runs;

/// <summary>
/// One writer a run folder: the file <c>.lock</c>, locked by the operating system, which frees it when the process ends, however it ends. Beside it
/// <c>.holder</c> says which process holds it; a locked file could not be read. Readers take no lock: what they read is replaced whole.
/// </summary>
public sealed class RunLock : IDisposable
{
    const string LockFile = ".lock", HolderFile = ".holder";

    /// <summary>The lock of a file lasts as long as it is open.</summary>
    readonly FileStream _file;
    readonly string _folder, _token;

    RunLock(string folder, FileStream file)
    {
        (_folder, _file) = (folder, file);
        _token = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {Guid.NewGuid():N}\n");
        File.WriteAllText(Path.Combine(folder, HolderFile), _token);
    }

    /// <summary>Takes the lock of a folder that is there.</summary>
    /// <exception cref="RunException">Another process has it; the line names it.</exception>
    public static RunLock Take(string folder)
    {
        FileStream file;
        try
        {
            file = new(Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException) when (File.Exists(Path.Combine(folder, LockFile)))
        {
            throw new RunException($"{folder}: {Holder(folder)} is writing this run; wait for it, stop it, or name another folder", "out");
        }
        try
        {
            return new(folder, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    static string Holder(string folder)
    {
        try
        {
            return $"process {File.ReadAllText(Path.Combine(folder, HolderFile)).Split(' ')[0]}";
        }
        catch (IOException)
        {
            return "another process";       // which has not yet written, or just removed, its number
        }
    }

    /// <summary>Whether a name in a run folder is the lock's own.</summary>
    internal static bool IsOwn(string path) => Path.GetFileName(path) is LockFile or HolderFile;

    /// <summary>Refuses to go on in a folder that was deleted, or taken by another run, since the lock was taken.</summary>
    internal void Require()
    {
        if (!IsOurs || !File.Exists(TrainingRun.ConfigPath(_folder)))
            throw new RunException($"{_folder}: was deleted or replaced while the run was writing it; nothing more is written there");
    }

    /// <summary>Whether the folder is there and no other run has taken it.</summary>
    internal bool IsOurs => File.Exists(HolderPath) && File.ReadAllText(HolderPath) == _token;

    /// <summary>Deletes the lock's own files while it is held, so that nobody else's are met.</summary>
    internal void Remove()
    {
        File.Delete(HolderPath);
        File.Delete(Path.Combine(_folder, LockFile));
    }

    string HolderPath => Path.Combine(_folder, HolderFile);

    public void Dispose()
    {
        if (IsOurs) File.Delete(HolderPath);
        _file.Dispose();
    }
}
