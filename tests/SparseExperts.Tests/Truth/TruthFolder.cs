namespace SparseExperts.Tests.Truth;

/// <summary>
/// What real libraries computed: checkpoints, tokenizers, span corruption, configurations. <c>SPARSEEXPERTS_TRUTH</c> names a folder of such parts; the
/// repository's own, smaller one is taken otherwise.
/// </summary>
static class TruthFolder
{
    static string Root => Environment.GetEnvironmentVariable("SPARSEEXPERTS_TRUTH") is { Length: > 0 } folder
        ? folder
        : Path.Combine(AppContext.BaseDirectory, "Truth", "data");

    /// <summary>A part of it, such as <c>checkpoints</c>.</summary>
    public static string Part(string name) => Path.Combine(Root, name);

    /// <summary>Files of that name under a part, by path and in order.</summary>
    public static IEnumerable<string> Files(string part, string pattern) => Directory.Exists(Part(part))
        ? Directory.EnumerateFiles(Part(part), pattern, SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        : [];

    /// <summary>The path as a test's name says it: from the part's folder on.</summary>
    public static string Short(string part, string path) => Path.GetRelativePath(Part(part), path).Replace('\\', '/');
}
