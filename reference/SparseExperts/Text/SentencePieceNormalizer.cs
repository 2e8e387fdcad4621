using System.Text;

namespace SparseExperts.Text;

/// <summary>
/// How SentencePiece prepares a text (normalizer.cc): rules of characters, longest first; white space at the ends is left out and runs of it become one; a
/// space before the text; spaces become ▁. Pieces that the user defined are left as they are.
/// </summary>
sealed class SentencePieceNormalizer(SentencePieceFile file, RuneTrie userDefined)
{
    public const int Mark = '▁';

    readonly int _space = file.EscapesWhitespace ? Mark : ' ';

    public AlignedText Apply(AlignedText text)
    {
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        var made = new AlignedBuilder(text.Length + 1);
        // True while a space would be left out.
        var skips = file.RemovesExtraWhitespace;
        for (int at = 0, place = 0; place < text.Length;)
        {
            var (runes, count, read) = Next(text, place, bytes.AsSpan(at));
            var part = text.Slice(place, count);
            (at, place) = (at + read, place + count);
            var first = 0;
            while (skips && first < runes.Length && runes[first] == ' ') first++;
            if (first == runes.Length) continue;
            if (made.Length == 0 && file is { AddsDummyPrefix: true, WhitespaceIsSuffix: false }) made.Add(_space, part.Place(0, 1));
            for (var i = first; i < runes.Length; i++)
                made.Add(runes[i] == ' ' ? _space : runes[i], part.Place(0, count));
            skips = file.RemovesExtraWhitespace && runes[^1] == ' ';
        }
        while (file.RemovesExtraWhitespace && made.Length > 0 && made.Last == _space) made.RemoveLast();
        if (made.Length > 0 && file is { AddsDummyPrefix: true, WhitespaceIsSuffix: true }) made.Add(_space, text.Place(text.Length - 1, 1));
        return made.Build();
    }

    /// <summary>What the text becomes at a place: code points made, code points and bytes read.</summary>
    (int[] Made, int Count, int Read) Next(AlignedText text, int place, ReadOnlySpan<byte> bytes)
    {
        var own = userDefined.LongestAt(text.Runes.Span[place..]).Length;
        var runes = text.Runes.Span.Slice(place, Math.Max(own, 1));
        if (own == 0 && file.Map?.Longest(bytes) is { } rule)
        {
            var count = 0;
            for (var read = 0; read < rule.Read; count++) read += new Rune(text.Runes.Span[place + count]).Utf8SequenceLength;
            return (rule.Made, count, rule.Read);
        }
        var length = 0;
        foreach (var rune in runes) length += new Rune(rune).Utf8SequenceLength;
        return (runes.ToArray(), runes.Length, length);
    }
}
