using SparseExperts.Routing.Configs;

namespace SparseExperts.Routing;

/// <summary>Every dialect that comes with the library, by name. A family is a file; a new dialect is an entry in one.</summary>
public static class BuiltIn
{
    const string Level = "balance_level";

    public static IReadOnlyList<Dialect> All { get; } =
    [
        .. Families.Select(d => d.Balance != BalanceLoss.Product || d.Parameters.Contains(Level) ? d : d with { Parameters = [.. d.Parameters, Level] }),
    ];

    /// <summary>
    /// As their files say it. What a product loss is taken over is settable in all of them besides: who gives the tokens says what a sequence is.
    /// </summary>
    static IEnumerable<Dialect> Families =>
    [
        .. ShazeerDialects.All, .. MeshDialects.All, .. LingvoDialects.All, .. FlaxDialects.All, .. VmoeDialects.All, .. HuggingFaceClassicDialects.All,
        .. LucidrainsDialects.All, .. MegatronDialects.All, .. DeepSpeedDialects.All, .. TutelDialects.All, .. FastMoeDialects.All, .. MegaBlocksDialects.All,
        .. FairseqDialects.All, .. HuggingFaceDialects.All, .. DeepSeekDialects.All,
        .. DeepSeekFamilyDialects.All, .. HuggingFaceFamilyDialects.All, .. HuggingFaceNewDialects.All, .. HetuDialects.All, .. OtherDialects.All,
        .. EngineDialects.All,
    ];

    static readonly Dictionary<string, Dialect> ByName = All.ToDictionary(d => d.Name);

    /// <summary>The entry of that name in one family, for families that start from it.</summary>
    internal static Dialect Own(IReadOnlyList<Dialect> family, string name) => family.First(d => d.Name == name);

    public static Dialect? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The dialect of that name, or an error that names the nearest ones.</summary>
    public static Dialect Named(string name) => Find(name)
        ?? throw new DialectException($"dialect '{name}': unknown; near it are {string.Join(", ", Near(name))}", isUnknownName: true);

    /// <summary>The three dialects of which one name is nearest: their own, that without its family, those of model types and of their classes.</summary>
    static IEnumerable<string> Near(string name)
    {
        var names = All.SelectMany(d => (string[])[d.Name, d.Name[(d.Name.IndexOf('.') + 1)..]], (d, other) => (Name: other, Dialect: d.Name))
            .Concat(ModelTypes.All.SelectMany(t => t.Also.Append(t.Name).Concat(t.Classes), (t, other) => (Name: other, t.Dialect)))
            .ToLookup(p => p.Name, p => p.Dialect);
        return Sorted(ModelTypes.Bare(name), names.Select(n => n.Key)).SelectMany(n => names[n]).Distinct().Take(3);
    }

    /// <summary>The three names that are most like a misspelt one.</summary>
    public static IEnumerable<string> Nearest(string name, IEnumerable<string> known) => Sorted(name, known).Take(3);

    /// <summary>The known name that a name may be meant for: but for a slip of two letters, or where one begins with the other; null where none is.</summary>
    public static string? Meant(string name, IEnumerable<string> known)
    {
        const int shortest = 5;
        var letters = Letters(name);
        bool IsLike(string other) => Math.Min(letters.Length, other.Length) >= shortest && (Distance(letters, other) <= 2
            || letters.StartsWith(other, StringComparison.Ordinal) || other.StartsWith(letters, StringComparison.Ordinal));
        return Sorted(name, known).FirstOrDefault(k => IsLike(Letters(k)));
    }

    /// <summary>By the letters that differ, whatever their case and what separates words; those that begin alike are nearer.</summary>
    static IEnumerable<string> Sorted(string name, IEnumerable<string> known)
    {
        var letters = Letters(name);
        return known.OrderBy(k => Apart(letters, Letters(k))).ThenBy(k => Distance(name, k)).ThenBy(k => k, StringComparer.Ordinal);
    }

    static int Apart(string a, string b) => Distance(a, b) - 2 * a.Zip(b).TakeWhile(p => p.First == p.Second).Count();

    /// <summary>A name without what people write differently: its letters, small, and its digits.</summary>
    internal static string Letters(string name) => string.Concat(name.Where(char.IsLetterOrDigit)).ToLowerInvariant();

    /// <summary>The known name that a name is but for a slip of two letters at most; null where none is.</summary>
    public static string? Misspelt(string name, IEnumerable<string> known) =>
        known.MinBy(k => Distance(name, k)) is { } near && Distance(name, near) is > 0 and <= 2 && near.Length > 6 ? near : null;

    /// <summary>Levenshtein's distance.</summary>
    static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }
}

/// <summary>A dialect that cannot be: one line with the axis, the value and the remedy.</summary>
public sealed class DialectException(string message, bool isUnknownName = false) : Exception(message)
{
    /// <summary>Whether a list of the dialects would help.</summary>
    public bool IsUnknownName { get; } = isUnknownName;
}
