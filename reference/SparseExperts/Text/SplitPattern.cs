using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>What becomes of the parts that a pattern matches, as <c>tokenizer.json</c> names it.</summary>
enum SplitBehaviour { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous }

/// <summary>
/// A pattern that cuts texts. It is matched against a shadow of the text with one character a code point, where a character beyond U+FFFF is stood for by one
/// of its general category: so classes such as \p{L} see whole characters, and places are places of code points.
/// </summary>
sealed class SplitPattern
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>A character of each category that no pattern spells.</summary>
    static readonly Dictionary<UnicodeCategory, char> Shadows = new()
    {
        [UnicodeCategory.UppercaseLetter] = '\u10A0',
        [UnicodeCategory.LowercaseLetter] = '\u0237',
        [UnicodeCategory.TitlecaseLetter] = '\u01C5',
        [UnicodeCategory.ModifierLetter] = '\u02B0',
        [UnicodeCategory.OtherLetter] = '\u05D0',
        [UnicodeCategory.NonSpacingMark] = '\u0345',
        [UnicodeCategory.SpacingCombiningMark] = '\u0903',
        [UnicodeCategory.EnclosingMark] = '\u0488',
        [UnicodeCategory.DecimalDigitNumber] = '\u0660',
        [UnicodeCategory.LetterNumber] = '\u2160',
        [UnicodeCategory.OtherNumber] = '\u2460',
        [UnicodeCategory.ConnectorPunctuation] = '\u203F',
        [UnicodeCategory.DashPunctuation] = '\u058A',
        [UnicodeCategory.OpenPunctuation] = '\u0F3A',
        [UnicodeCategory.ClosePunctuation] = '\u0F3B',
        [UnicodeCategory.InitialQuotePunctuation] = '\u2E02',
        [UnicodeCategory.FinalQuotePunctuation] = '\u2E03',
        [UnicodeCategory.OtherPunctuation] = '\u055A',
        [UnicodeCategory.MathSymbol] = '\u03F6',
        [UnicodeCategory.CurrencySymbol] = '\u058F',
        [UnicodeCategory.ModifierSymbol] = '\u02C2',
        [UnicodeCategory.OtherSymbol] = '\u0482',
        [UnicodeCategory.Format] = '\u061C',
        [UnicodeCategory.PrivateUse] = '\uE000',
        [UnicodeCategory.OtherNotAssigned] = '\uFFFE',
    };

    readonly Regex _regex;

    SplitPattern(Regex regex) => _regex = regex;

    /// <summary>A pattern in the syntax of <c>tokenizer.json</c>, where ^ and $ are those of lines.</summary>
    /// <exception cref="DataException">It uses what is not known here.</exception>
    public static SplitPattern Of(string pattern)
    {
        try
        {
            if (pattern.Contains("&&", StringComparison.Ordinal)) throw new ArgumentException("intersections of classes are not supported");
            if (pattern.Any(char.IsSurrogate)) throw new ArgumentException("characters beyond U+FFFF are not supported");
            return new(new Regex(pattern, RegexOptions.Multiline | RegexOptions.CultureInvariant, Patience));
        }
        catch (ArgumentException e)
        {
            throw new DataException($"pattern '{pattern}' cannot be used ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})") { IsUnsupported = true };
        }
    }

    /// <summary>A string that is itself.</summary>
    public static SplitPattern Literal(string text) => Of(Regex.Escape(text));

    public PreTokenizer Cut(SplitBehaviour behaviour, bool invert) =>
        piece => Join(Marked(piece, invert), behaviour).Select(p => piece.Slice(p.Start, p.Length));

    /// <summary>Places of its matches in a text.</summary>
    public IEnumerable<(int Start, int Length)> Matches(AlignedText text)
    {
        var matches = _regex.Matches(Shadow(text.Runes.Span));
        int count;
        try
        {
            count = matches.Count;
        }
        catch (RegexMatchTimeoutException)
        {
            throw new DataException($"pattern '{_regex}' took more than {Patience.TotalSeconds} seconds for one match; use a tokenizer with a simpler one");
        }
        for (var i = 0; i < count; i++) yield return (matches[i].Index, matches[i].Length);
    }

    /// <summary>The whole of a piece in parts, each a match or what lies between two.</summary>
    List<(int Start, int Length, bool IsMatch)> Marked(AlignedText piece, bool invert)
    {
        var parts = new List<(int, int, bool)>();
        var end = 0;
        foreach (var (start, length) in Matches(piece))
        {
            if (start > end) parts.Add((end, start - end, invert));
            if (length > 0) parts.Add((start, length, !invert));
            end = start + length;
        }
        if (piece.Length > end) parts.Add((end, piece.Length - end, invert));
        return parts;
    }

    static IEnumerable<(int Start, int Length)> Join(List<(int Start, int Length, bool IsMatch)> parts, SplitBehaviour behaviour)
    {
        var (start, joined) = (0, false);
        for (var i = 0; i < parts.Count; i++)
        {
            var part = parts[i];
            if (behaviour == SplitBehaviour.Removed && part.IsMatch) continue;
            // Whether the next part belongs to the same piece.
            if (!joined) start = part.Start;
            joined = i + 1 < parts.Count && behaviour switch
            {
                SplitBehaviour.Removed or SplitBehaviour.Isolated => false,
                SplitBehaviour.Contiguous => parts[i + 1].IsMatch == part.IsMatch,
                SplitBehaviour.MergedWithPrevious => parts[i + 1].IsMatch && !part.IsMatch,
                SplitBehaviour.MergedWithNext => part.IsMatch && !parts[i + 1].IsMatch,
                var other => throw new InvalidOperationException($"unknown behaviour {other}"),
            };
            if (!joined) yield return (start, part.Start + part.Length - start);
        }
    }

    static string Shadow(ReadOnlySpan<int> runes)
    {
        var shadow = new char[runes.Length];
        for (var i = 0; i < runes.Length; i++)
            shadow[i] = runes[i] < 0x10000 ? (char)runes[i] : Shadows[Rune.GetUnicodeCategory(new Rune(runes[i]))];
        return new(shadow);
    }
}
