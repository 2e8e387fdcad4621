using SparseExperts.Formats;
using SparseExperts.Runs;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>Checkpoints of the hub imported and exported again.</summary>
public sealed class TruthRoundTripTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-hub-").FullName;

    /// <summary>Architectures that are refused by name.</summary>
    static readonly string[] Refused = ["jamba", "qwen3_next", "qwen3_5_moe_text"];

    public static TheoryData<string> Folders =>
        [.. TruthFolder.Files("checkpoints", "config.json").Select(f => TruthFolder.Short("checkpoints", Path.GetDirectoryName(f)!))];

    [Theory, MemberData(nameof(Folders))]
    public void A_checkpoint_comes_back_byte_for_byte(string folder)
    {
        string from = Path.Combine(TruthFolder.Part("checkpoints"), folder), run = Path.Combine(_folder, "run"), to = Path.Combine(_folder, "out");
        if (Refused.FirstOrDefault(r => Path.GetFileName(folder).StartsWith(r, StringComparison.Ordinal)) is { } refused)
        {
            Assert.Contains(refused, Assert.Throws<InvalidFileException>(() => HubImport.Run(from, run)).Message, StringComparison.Ordinal);
            Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
            return;
        }
        var imported = HubImport.Run(from, run);
        var exported = HubExport.Run(run, to);
        Assert.Equal((imported.Tensors, null, 0), (exported.Tensors, imported.Note, imported.Unread));
        // Recordings beside a checkpoint are none of its files.
        static bool IsOfTheCheckpoint(string file) =>
            !file.EndsWith(".safetensors", StringComparison.Ordinal) || file.StartsWith("model", StringComparison.Ordinal);
        var files = Directory.EnumerateFiles(from).Select(f => Path.GetFileName(f)!).Where(IsOfTheCheckpoint).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(files, Directory.EnumerateFiles(to).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal));
        foreach (var file in files) Assert.Equal(File.ReadAllBytes(Path.Combine(from, file)), File.ReadAllBytes(Path.Combine(to, file)));
    }

    public void Dispose() => Directory.Delete(_folder, true);
}
