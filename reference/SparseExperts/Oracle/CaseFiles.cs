using SparseExperts.Formats;

namespace SparseExperts.Oracle;

/// <summary>Case files by name, folder or pattern.</summary>
public static class CaseFiles
{
    /// <summary>Claims in the order in which they are checked, as reports list them.</summary>
    public static IReadOnlyList<string> Stages { get; } =
    [
        "router_state", "key_logits", "logits", "shared_logits", "scores",
        "capacity", "expert", "slot", "gate", "token", "shared_gate", "combine",
        "slot_dispatch", "slot_combine", "count", "y",
        "loss.balance", "loss.z", "loss.total", "correction_bias",
    ];

    static readonly string[] Extensions = [".safetensors", ".npz"];

    /// <summary>Files in ordinal order, each once. A name that finds nothing is an error.</summary>
    public static IReadOnlyList<string> Find(IEnumerable<string> names)
    {
        var files = new List<string>();
        foreach (var name in names)
        {
            string[] found = Directory.Exists(name)
                ? [.. Below(name).Where(f => Extensions.Contains(Path.GetExtension(f).ToLowerInvariant()))]
                : name.AsSpan().ContainsAny('*', '?') ? Matching(name) : [name];
            if (found.Length == 0) throw new CaseException($"{name}: no case files there; name .safetensors or .npz files");
            files.AddRange(found.Order(StringComparer.Ordinal));
        }
        return [.. files.Distinct()];
    }

    static IReadOnlyList<string> Below(string folder)
    {
        try
        {
            return RegularFiles.Below(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CaseException($"{folder}: cannot be walked ({FileTrouble.Why(e)}); name its files one by one");
        }
    }

    static string[] Matching(string pattern)
    {
        var folder = Path.GetDirectoryName(pattern) is { Length: > 0 } parent ? parent : ".";
        if (!Directory.Exists(folder)) return [];
        var found = Directory.GetFiles(folder, Path.GetFileName(pattern));
        // Named as the pattern is: without a folder where it has none.
        return folder == "." && !pattern.StartsWith('.') ? [.. found.Select(f => Path.GetFileName(f))] : found;
    }
}
