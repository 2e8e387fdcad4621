using System.Globalization;
using System.Text;

namespace SparseExperts.Formats;

/// <summary>
/// A writer for screens and logs: what a name or a value from a file could make a terminal obey (control characters, marks that turn the direction of
/// text) is written as <c>\u001b</c>, which in JSON is the same character.
/// </summary>
public sealed class VisibleWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    /// <summary>A text as it is written; line ends and tabs stay.</summary>
    public static string Visible(string text)
    {
        if (!text.Any(IsHidden)) return text;
        var visible = new StringBuilder(text.Length + 16);
        foreach (var c in text)
            if (IsHidden(c)) visible.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else visible.Append(c);
        return visible.ToString();
    }

    static bool IsHidden(char c) => c is not ('\n' or '\t') && !Environment.NewLine.Contains(c, StringComparison.Ordinal) && char.GetUnicodeCategory(c)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    public override void Write(char value) => inner.Write(IsHidden(value) ? Visible(value.ToString()) : value.ToString());
    public override void Write(string? value) => inner.Write(Visible(value ?? ""));
    public override void Write(char[] buffer, int index, int count) => inner.Write(Visible(new(buffer, index, count)));
    public override void Write(ReadOnlySpan<char> buffer) => inner.Write(Visible(new(buffer)));
    public override void WriteLine(string? value) => inner.WriteLine(Visible(value ?? ""));
    public override void Flush() => inner.Flush();
}
