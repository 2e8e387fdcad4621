using System.Text.RegularExpressions;

namespace SparseExperts.Formats;

/// <summary>What the system says of a file or folder, without the runtime's words and with the name once.</summary>
public static partial class FileTrouble
{
    /// <summary>The reason alone, for a line that names the file.</summary>
    public static string Why(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException => "no such file or folder",
        UnauthorizedAccessException => "access is denied",
        _ when Taken().IsMatch(e.Message) => "a file is there already",
        _ => e.Message.ReplaceLineEndings(" ").TrimEnd('.'),
    };

    /// <summary>The file and the reason, where nothing else names the file.</summary>
    public static string Line(Exception e) => Why(e) is var why && Quoted().Match(e.Message) is { Success: true } path
        && !why.Contains(path.Value, StringComparison.Ordinal) ? $"{path.Groups[1].Value}: {why}" : why;

    [GeneratedRegex("^The file '.*' already exists", RegexOptions.Singleline)]
    private static partial Regex Taken();

    [GeneratedRegex("'(.+)'", RegexOptions.Singleline)]
    private static partial Regex Quoted();
}
