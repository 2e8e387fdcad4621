using System.Globalization;
using System.Text;

namespace SparseExperts.Text;

/// <summary>Changes tokens on their way to text; what comes out is joined.</summary>
delegate IEnumerable<string> Decoder(IEnumerable<string> tokens);

/// <summary>Decoders by the names that <c>tokenizer.json</c> has for them.</summary>
static class Decoders
{
    /// <summary>Without a decoder tokens are joined by spaces.</summary>
    public static IEnumerable<string> Spaced(IEnumerable<string> tokens) => [string.Join(' ', tokens)];

    public static Decoder Sequence(IReadOnlyList<Decoder> steps) => tokens => steps.Aggregate(tokens, (changed, step) => step(changed));

    public static Decoder Replace(string text, string content) => tokens => tokens.Select(t => t.Replace(text, content, StringComparison.Ordinal));

    public static IEnumerable<string> Fuse(IEnumerable<string> tokens) => [string.Concat(tokens)];

    /// <summary>Takes at most so many letters from the start and the end of every token.</summary>
    public static Decoder Strip(char letter, int start, int end) => tokens => tokens.Select(token =>
    {
        var (from, to) = (0, token.Length);
        while (from < to && from < start && token[from] == letter) from++;
        while (to > from && token.Length - to < end && token[to - 1] == letter) to--;
        return token[from..to];
    });

    /// <summary>The mark becomes a space; the one that stands before a text is dropped.</summary>
    public static Decoder Metaspace(char mark, PrependScheme scheme) => tokens => tokens.Select((token, i) =>
        string.Concat(token.Select(c => c != mark ? c.ToString() : i == 0 && scheme != PrependScheme.Never ? "" : " ")));

    /// <summary>Byte tokens side by side become their text, or a U+FFFD each where they are none.</summary>
    public static IEnumerable<string> ByteFallback(IEnumerable<string> tokens)
    {
        var bytes = new List<byte>();
        foreach (var token in tokens)
            if (ByteOf(token) is { } value) bytes.Add(value);
            else
            {
                if (bytes.Count > 0) yield return Text(bytes);
                bytes.Clear();
                yield return token;
            }
        if (bytes.Count > 0) yield return Text(bytes);
    }

    static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    static string Text(List<byte> bytes)
    {
        try
        {
            return Strict.GetString([.. bytes]);
        }
        catch (DecoderFallbackException)
        {
            return new('\uFFFD', bytes.Count);
        }
    }

    /// <summary>The byte that a token such as <c>&lt;0x0A&gt;</c> spells.</summary>
    internal static byte? ByteOf(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;
}
