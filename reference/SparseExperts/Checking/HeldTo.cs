using System.Text.RegularExpressions;
using SparseExperts.Hub;
using SparseExperts.Routing.Configs;

namespace SparseExperts.Checking;

/// <summary>
/// Whose rules a recording is held to: who computed counts, so where its producer names a version of transformers that decides, and not the version that
/// wrote the checkpoint.
/// </summary>
/// <param name="Config">The checkpoint's configuration as that version reads it.</param>
/// <param name="Lines">One line where its rule is another one than the configuration's own version has; else none.</param>
sealed partial record HeldTo(HubConfig Config, IReadOnlyList<string> Lines)
{
    public static HeldTo Of(HubFolder folder, Recording recording)
    {
        var own = folder.Config;
        if (Named().Match(recording.Producer ?? "") is not { Success: true } match || LibraryVersion.Of(match.Groups[1].Value) is not { } version)
            return new(own, []);
        var (name, other) = (match.Groups[1].Value, folder.ConfigOf(match.Groups[1].Value));
        var isSame = other.Dialect == own.Dialect && (own is not HubSwitch || own.Version == other.Version);
        var written = own.LibraryVersion is { } saved ? $"config.json says {saved}" : "config.json names no version";
        return new(other, isSame ? [] : [$"recorded by transformers {name}; {written}: held to {version}'s rule"]);
    }

    [GeneratedRegex(@"\btransformers (\d[\w.]*)")]
    private static partial Regex Named();
}
