using System.Text;

namespace SparseExperts.Text;

/// <summary>
/// Byte-pair encoding as Hugging Face tokenizers has it: a word's code points are symbols, or their bytes where the vocabulary lacks them, or the unknown
/// token; then pairs are merged.
/// </summary>
sealed class BpeModel(Vocabulary vocabulary, BytePairs merges) : IPieceModel
{
    readonly Dictionary<int, int> _letters = [];

    /// <summary>Takes a word that is a token as a whole, whatever the merges would make of it (<c>ignore_merges</c>).</summary>
    public bool WholeWordsFirst { get; init; }

    /// <summary>Ids of the 256 bytes, for characters that have no token; null without byte fallback.</summary>
    public int[]? Bytes { get; init; }

    /// <summary>What stands for other characters; null leaves them out.</summary>
    public int? Unknown { get; init; }

    /// <summary>Unknown characters side by side are one token.</summary>
    public bool FusesUnknown { get; init; }

    public void Encode(AlignedText word, List<Piece> pieces)
    {
        if (word.Length == 0) return;
        var spelling = word.ToString();
        if (WholeWordsFirst && vocabulary.Find(spelling) is { } whole)
        {
            var (start, end) = word.Place(0, word.Length);
            pieces.Add(new(whole, start, end));
            return;
        }
        var symbols = Symbols(word);
        var at = 0;
        foreach (var (id, length) in merges.Merge(spelling, [.. symbols.Select(s => s.Id)]))
        {
            pieces.Add(new(id, symbols[at].Start, symbols[at + length - 1].End));
            at += length;
        }
    }

    List<Piece> Symbols(AlignedText word)
    {
        var symbols = new List<Piece>(word.Length);
        Span<byte> bytes = stackalloc byte[4];
        for (var i = 0; i < word.Length; i++)
        {
            var (start, end) = word.Place(i, 1);
            var rune = word.Runes.Span[i];
            if (Letter(rune) is var id && id >= 0) symbols.Add(new(id, start, end));
            else if (Bytes is not null)
                foreach (var value in bytes[..new Rune(rune).EncodeToUtf8(bytes)])
                    symbols.Add(new(Bytes[value], start, end));
            else if (Unknown is { } unknown)
                if (FusesUnknown && symbols.Count > 0 && symbols[^1].Id == unknown) symbols[^1] = symbols[^1] with { End = end };
                else symbols.Add(new(unknown, start, end));
        }
        return symbols;
    }

    int Letter(int rune)
    {
        lock (_letters)
        {
            if (_letters.TryGetValue(rune, out var id)) return id;
            return _letters[rune] = vocabulary.Find(new Rune(rune).ToString()) ?? -1;
        }
    }
}
