using System.Globalization;
using System.Text.RegularExpressions;

namespace SparseExperts.Routing.Configs;

/// <summary>A release of transformers, as <c>transformers_version</c> of a <c>config.json</c> and the producer of a recording name it.</summary>
public readonly partial record struct LibraryVersion(int Major, int Minor)
{
    /// <summary>The newest release that was run; a file that names none is read as it reads it.</summary>
    public static LibraryVersion Newest => new(5, 24);

    /// <summary>The version that a file names, or else the newest.</summary>
    public static LibraryVersion OrNewest(string? text) => Of(text) ?? Newest;

    public bool IsBefore(LibraryVersion other) => Major < other.Major || Major == other.Major && Minor < other.Minor;

    /// <summary>Of <c>5.17.0</c> and <c>5.5.0.dev0</c>; null where it begins with no number.</summary>
    public static LibraryVersion? Of(string? text) => Numbers().Match(text ?? "") is { Success: true } match
        ? new(Number(match.Groups[1]), match.Groups[2].Success ? Number(match.Groups[2]) : 0)
        : null;

    static int Number(Group group) => int.Parse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}");

    [GeneratedRegex(@"^(\d{1,4})(?:\.(\d{1,4}))?(?!\d)")]
    private static partial Regex Numbers();
}
