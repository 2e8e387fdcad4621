using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>One language of several: its name, which is its folder's, and its texts, the last 5 % of which are held out.</summary>
public sealed record Language(string Name, ByteText Text);

/// <summary>A folder of folders: each is a language.</summary>
public static class Languages
{
    /// <exception cref="DataException">There are no folders, texts beside them, or too few bytes in one; one line.</exception>
    public static IReadOnlyList<Language> Load(string root, int context)
    {
        if (!Directory.Exists(root)) throw new DataException($"{root}: a mixture needs a folder with a folder of texts for each language", "text");
        string[] folders = [.. Directory.GetDirectories(root).Order(StringComparer.Ordinal)];
        if (folders.Length == 0) throw new DataException($"{root}: has no folders; a mixture needs one with texts for each language", "text");
        if (Directory.GetFiles(root).Order(StringComparer.Ordinal).FirstOrDefault() is { } beside)
            throw new DataException($"{beside}: stands beside the folders of languages and would be left out; move it into one of them", "text");
        return [.. folders.Select(folder => new Language(Path.GetFileName(folder), ByteText.Load(folder, context)))];
    }
}
