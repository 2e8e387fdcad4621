using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using SparseExperts.Formats;

namespace SparseExperts.Runs;

/// <summary>
/// <c>state.json</c> of a checkpoint: counters, and the SHA-256 of the files beside it, by which a file that was cut, zeroed or taken from another checkpoint
/// is found. Checkpoints of before have no checksums.
/// </summary>
sealed record CheckpointState(int Format, long Step, long Skipped, long OptimizerSteps, SortedDictionary<string, string?>? Sha256 = null)
{
    public const string FileName = "state.json";
    public const int CurrentFormat = 2;

    /// <summary>Writes the state of a checkpoint whose files are written.</summary>
    public static void Write(string checkpoint, long step, long skipped, long optimizerSteps, params string[] files)
    {
        var sums = new SortedDictionary<string, string?>(files.ToDictionary(f => f, f => (string?)Sum(Path.Combine(checkpoint, f))), StringComparer.Ordinal);
        var state = new CheckpointState(CurrentFormat, step, skipped, optimizerSteps, sums);
        AtomicFile.WriteText(Path.Combine(checkpoint, FileName), JsonSerializer.Serialize(state, RunConfig.Json) + "\n");
    }

    /// <exception cref="RunException">There is none, it cannot be, or is not of the step that its folder is named after.</exception>
    public static CheckpointState Read(string checkpoint)
    {
        var path = Path.Combine(checkpoint, FileName);
        try
        {
            var state = JsonSerializer.Deserialize<CheckpointState>(RegularFiles.ReadAllText(path), RunConfig.Json);
            if (state is { Format: not CurrentFormat }) throw new JsonException($"format {state.Format}, this program reads format {CurrentFormat}");
            if (state is not { Step: >= 0, Skipped: >= 0, OptimizerSteps: >= 0 }) throw new JsonException("its numbers make no sense");
            if (Checkpoint.StepOf(checkpoint) is { } step && step != state.Step)
                throw new JsonException(string.Create(CultureInfo.InvariantCulture, $"it is of step {state.Step}"));
            return state;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            var why = e is JsonException json ? JsonTrouble.Why(json) : FileTrouble.Why(e);
            throw new RunException($"{path}: not a usable checkpoint state ({why}); take another copy, or delete this checkpoint");
        }
    }

    /// <summary>A file of the checkpoint is the one that was written with this state.</summary>
    /// <exception cref="RunException">It is not.</exception>
    public void Verify(string checkpoint, string file)
    {
        if (Sha256 is null) return;
        var path = Path.Combine(checkpoint, file);
        if (!Sha256.TryGetValue(file, out var expected) || !string.Equals(expected, Sum(path), StringComparison.OrdinalIgnoreCase))
            throw new RunException($"{path}: is damaged, or of another checkpoint (its SHA-256 is not the one in {FileName}); take another copy");
    }

    static string Sum(string path)
    {
        using var stream = RegularFiles.Open(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
