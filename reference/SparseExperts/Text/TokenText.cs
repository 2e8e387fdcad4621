using System.Text;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>Ids of a text, and how many bytes of it end before each: so that bits are counted by bytes whatever the tokenizer.</summary>
public sealed class TokenText
{
    /// <summary>
    /// Bytes that are encoded in one go, about; the parts end behind a line, so that memory stays small and cores share the work.
    /// </summary>
    const int Part = 1 << 20;

    static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    readonly int[] _ends;

    TokenText(int[] ids, int[] ends) => (Ids, _ends) = (ids, ends);

    public ReadOnlyMemory<int> Ids { get; }
    public int Length => Ids.Length;

    /// <summary>Bytes of the text that the tokens [start, end) stand for. White space that a tokenizer drops counts to the token after it.</summary>
    public int Bytes(int start, int end) => End(end) - End(start);

    int End(int count) => count == 0 ? 0 : _ends[count - 1];

    /// <summary>All but the held-out 5 % of a text, and the held-out rest; the cut is at a character.</summary>
    /// <exception cref="DataException">The text is not UTF-8.</exception>
    public static (TokenText Train, TokenText HeldOut) Of(ByteText text, ITokenizer tokenizer)
    {
        byte[] all = [.. text.Train, .. text.HeldOut];
        var cut = text.TrainLength;
        while (cut < all.Length && (all[cut] & 0xC0) == 0x80) cut++;
        return (Of(all.AsMemory(0, cut), tokenizer, text.Path), Of(all.AsMemory(cut), tokenizer, text.Path));
    }

    /// <summary>Bytes as they are, whatever their encoding: all but the held-out part, and that.</summary>
    public static (TokenText Train, TokenText HeldOut) OfBytes(ByteText text) => (OfBytes(text.Train), OfBytes(text.HeldOut));

    /// <summary>Bytes as they are, whatever their encoding.</summary>
    public static TokenText OfBytes(ReadOnlySpan<byte> bytes) =>
        new(Array.ConvertAll(bytes.ToArray(), b => (int)b), [.. Enumerable.Range(1, bytes.Length)]);

    /// <param name="name">What errors call it.</param>
    /// <exception cref="DataException">The text is not UTF-8.</exception>
    public static TokenText Of(ReadOnlyMemory<byte> text, ITokenizer tokenizer, string name)
    {
        RequireText(text.Span, name);
        var parts = Parts(text).ToArray();
        var encoded = new (int[] Ids, int[] Ends)[parts.Length];
        Parallel.For(0, parts.Length, i => encoded[i] = Encode(text.Slice(parts[i].Start, parts[i].Length).Span, parts[i].Start, tokenizer));
        return new([.. encoded.SelectMany(e => e.Ids)], [.. encoded.SelectMany(e => e.Ends)]);
    }

    static void RequireText(ReadOnlySpan<byte> text, string name)
    {
        try
        {
            Strict.GetCharCount(text);
        }
        catch (DecoderFallbackException e)
        {
            throw new DataException($"{name}: is not UTF-8 (byte {e.Index}), which tokenizers read; name one that is, or leave the tokenizer out", "tokenizer");
        }
    }

    static IEnumerable<(int Start, int Length)> Parts(ReadOnlyMemory<byte> text)
    {
        for (var start = 0; start < text.Length;)
        {
            var rest = text[start..];
            var line = rest.Length > Part ? rest.Span[Part..].IndexOf((byte)'\n') : -1;
            var length = line < 0 ? rest.Length : Part + line + 1;
            yield return (start, length);
            start += length;
        }
    }

    static (int[] Ids, int[] Ends) Encode(ReadOnlySpan<byte> bytes, int before, ITokenizer tokenizer)
    {
        var text = Encoding.UTF8.GetString(bytes);
        var encoded = tokenizer.Encode(text);
        var places = ByteEnds(text);
        var ends = new int[encoded.Ids.Length];
        var end = before;
        for (var i = 0; i < ends.Length; i++) ends[i] = end = Math.Max(end, before + places[encoded.Offsets[i].End]);
        // What is dropped at the end counts to the last token.
        if (ends.Length > 0) ends[^1] = before + bytes.Length;
        return (encoded.Ids, ends);
    }

    /// <summary>Bytes before each code point, and before the end.</summary>
    static int[] ByteEnds(string text)
    {
        var ends = new List<int>(text.Length + 1) { 0 };
        foreach (var rune in text.EnumerateRunes()) ends.Add(ends[^1] + rune.Utf8SequenceLength);
        return [.. ends];
    }
}
