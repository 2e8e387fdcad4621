using SparseExperts.Formats;
using SparseExperts.Hub;

namespace SparseExperts.Runs;

/// <summary>
/// What an imported run keeps of the checkpoint that it came from, in <c>source</c>: its small files as they were, and in <c>source/weights</c> the header of
/// each of its files of weights and the tensors that no model reads, so that an export has the same names, order and formats.
/// </summary>
public static class HubSource
{
    const string FolderName = "source", WeightsName = "weights", UnreadFile = "unread.safetensors", HeaderEnding = ".header";

    /// <summary>Endings of what is kept: configurations, tokenizers, chat templates, and what people read.</summary>
    static readonly string[] Kept = [".json", ".jinja", ".model", ".txt", ".tiktoken", ".md"];

    public static string FolderOf(string run) => Path.Combine(run, FolderName);

    /// <summary>Whether the run was imported, or began with one that was.</summary>
    public static bool Exists(string run) =>
        File.Exists(Path.Combine(FolderOf(run), "config.json")) && Directory.Exists(Path.Combine(FolderOf(run), WeightsName));

    /// <summary>Keeps what a checkpoint has besides its model.</summary>
    internal static void Save(HubFolder from, string run)
    {
        var folder = FolderOf(run);
        Directory.CreateDirectory(Path.Combine(folder, WeightsName));
        foreach (var file in SmallFiles(from.Path)) Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        foreach (var (name, file) in from.Files)
            AtomicFile.Write(Path.Combine(folder, WeightsName, name + HeaderEnding), stream => stream.Write(file.Header.Bytes));
        if (from.Unread.Count == 0) return;
        SafetensorsWriter.Write(Path.Combine(folder, WeightsName, UnreadFile), new Dictionary<string, string>(),
            [.. from.Unread.Select(name => HubRepack.AsIs(from.Stored(name)))]);
    }

    /// <summary>What a copy is until it is whole.</summary>
    internal static string UnfinishedOf(string run) => Path.Combine(run, ".unfinished-" + FolderName);

    /// <summary>A run has the source of the one that it begins with, whole or not at all, and none where it begins with none.</summary>
    internal static void Take(string? from, string run)
    {
        if (from is null || !Exists(from)) return;
        if (Path.Exists(FolderOf(run))) throw new RunException($"{FolderOf(run)}: is in the way of what is kept of {from}; name another folder", "out");
        if (Directory.Exists(UnfinishedOf(run))) Directory.Delete(UnfinishedOf(run), recursive: true);
        foreach (var folder in (string[])["", WeightsName])
        {
            var (there, here) = (Path.Combine(FolderOf(from), folder), Path.Combine(UnfinishedOf(run), folder));
            Directory.CreateDirectory(here);
            foreach (var file in Directory.EnumerateFiles(there).Order(StringComparer.Ordinal)) Copy(file, Path.Combine(here, Path.GetFileName(file)));
        }
        Directory.Move(UnfinishedOf(run), FolderOf(run));
    }

    /// <summary>Files beside the weights that belong to a checkpoint.</summary>
    internal static IReadOnlyList<string> SmallFiles(string folder) => [.. Directory.EnumerateFiles(folder)
        .Where(f => Kept.Contains(Path.GetExtension(f)) || Path.GetFileName(f).StartsWith("LICENSE", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>Names of the files of weights, and what stood before their data.</summary>
    internal static IReadOnlyList<(string Name, SafetensorsHeader Header)> Headers(string run)
    {
        var folder = Path.Combine(FolderOf(run), WeightsName);
        if (!Directory.Exists(folder)) throw new RunException($"{folder}: is missing; import the checkpoint again");
        return [.. Directory.EnumerateFiles(folder, "*" + HeaderEnding).Order(StringComparer.Ordinal).Select(path =>
            (Path.GetFileName(path)[..^HeaderEnding.Length], SafetensorsHeader.Parse(path, RegularFiles.ReadAllBytes(path), dataLength: null)))];
    }

    /// <summary>Experts of what was imported were in four bits.</summary>
    internal static bool IsQuantised(string run) => HubConfig.ReadJson(FolderOf(run))["quantization_config"] is not null;

    /// <summary>Tensors that no model reads, or null.</summary>
    internal static SafetensorsFile? Unread(string run)
    {
        var path = Path.Combine(FolderOf(run), WeightsName, UnreadFile);
        return File.Exists(path) ? SafetensorsFile.Open(path) : null;
    }

    internal static void Copy(string from, string to)
    {
        using var source = RegularFiles.Open(from);
        AtomicFile.Write(to, source.CopyTo);
    }
}
