using System.Runtime.CompilerServices;

namespace SparseExperts.Tests.Layout;

/// <summary>The repository that the tests were compiled from.</summary>
static class Repository
{
    public static string Root { get; } = FromHere();

    static string FromHere([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../.."));

    public static string At(string path) => Path.Combine(Root, path);

    /// <summary>Paths from the root, with slashes, of files that the pattern matches; what builds and tools leave behind is passed over.</summary>
    public static IEnumerable<string> Files(string pattern) => Folders(Root)
        .SelectMany(folder => Directory.EnumerateFiles(folder, pattern))
        .Select(file => Path.GetRelativePath(Root, file).Replace('\\', '/'))
        .Order(StringComparer.Ordinal);

    static IEnumerable<string> Folders(string folder) => Directory.EnumerateDirectories(folder)
        .Where(inner => Path.GetFileName(inner) is not ("bin" or "obj") && !Path.GetFileName(inner).StartsWith('.'))
        .SelectMany(Folders)
        .Prepend(folder);
}
