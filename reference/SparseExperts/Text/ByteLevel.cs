using System.Text;

namespace SparseExperts.Text;

/// <summary>
/// Bytes as printable characters, one each (Radford et al. 2019, encoder.py, bytes_to_unicode): printable Latin-1 stands for itself, the other bytes, in
/// order, are the characters from U+0100 on.
/// </summary>
static class ByteLevel
{
    /// <summary>How GPT-2 cuts texts.</summary>
    const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    static readonly char[] Letters = [.. Enumerable.Range(0, 256).Select(Letter)];
    static readonly Dictionary<char, byte> Bytes = Enumerable.Range(0, 256).ToDictionary(b => Letters[b], b => (byte)b);

    static bool IsPrintable(int value) => value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;

    static char Letter(int value) => (char)(IsPrintable(value) ? value : 256 + Enumerable.Range(0, value).Count(b => !IsPrintable(b)));

    /// <summary>Cuts by GPT-2's pattern if asked, then spells the bytes of UTF-8, each with its character's place.</summary>
    public static PreTokenizer Split(bool addPrefixSpace, bool usePattern)
    {
        var cut = SplitPattern.Of(Gpt2Pattern).Cut(SplitBehaviour.Isolated, invert: false);
        return piece =>
        {
            if (addPrefixSpace && piece.Length > 0 && piece.Runes.Span[0] != ' ') piece = Normalizers.WithFirst(piece, [' ']);
            return (usePattern ? cut(piece) : [piece]).Select(Spell);
        };
    }

    static AlignedText Spell(AlignedText piece)
    {
        var spelled = new AlignedBuilder(piece.Length);
        Span<byte> bytes = stackalloc byte[4];
        for (var i = 0; i < piece.Length; i++)
            foreach (var value in bytes[..new Rune(piece.Runes.Span[i]).EncodeToUtf8(bytes)])
                spelled.Add(Letters[value], piece.Place(i, 1));
        return spelled.Build();
    }

    /// <summary>The text of tokens; a token with a letter that is no byte stands for itself.</summary>
    public static IEnumerable<string> Decode(IEnumerable<string> tokens)
    {
        var bytes = new List<byte>();
        foreach (var token in tokens)
            if (token.All(Bytes.ContainsKey)) bytes.AddRange(token.Select(letter => Bytes[letter]));
            else bytes.AddRange(Encoding.UTF8.GetBytes(token));
        return [Encoding.UTF8.GetString([.. bytes])];
    }

    /// <summary>Places without the white space that tokens begin and end with (the post-processor's <c>trim_offsets</c>).</summary>
    public static (int Start, int End) Trimmed(string token, (int Start, int End) place, bool isFirst, bool addPrefixSpace)
    {
        static bool IsSpace(char letter) => letter == 'Ġ' || char.IsWhiteSpace(letter);
        var (leading, trailing) = (token.TakeWhile(IsSpace).Count(), token.Reverse().TakeWhile(IsSpace).Count());
        // One space before the first word is the one that was added.
        if ((isFirst || place.Start == 0) && addPrefixSpace && leading == 1) leading = 0;
        var start = Math.Min(place.Start + leading, place.End);
        return (start, place.End >= trailing ? Math.Max(place.End - trailing, start) : place.End);
    }
}
