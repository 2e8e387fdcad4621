using System.Text;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// The unigram model (Kudo 2018): of all ways to cut a word into pieces the one with the largest sum of scores, log-probabilities; the first one found wins a
/// tie. A character that is no piece counts the least score minus 10, and such characters side by side are one piece.
/// </summary>
sealed class UnigramModel : IPieceModel
{
    const double UnknownPenalty = 10;

    readonly RuneTrie _trie = new();
    readonly double[] _scores;
    readonly double _unknownScore;
    readonly int? _unknown;
    readonly int[]? _bytes;
    readonly bool _inSingle;

    /// <param name="pieces">Pieces in the order of their ids; those without a score are never chosen.</param>
    /// <param name="least">The least score of an ordinary piece.</param>
    /// <param name="bytes">Ids of the 256 bytes, which then stand for unknown characters.</param>
    /// <param name="inSingle">Sums in float32, as sentencepiece; in double, as tokenizers.</param>
    public UnigramModel(IReadOnlyList<(string Piece, double? Score)> pieces, double least, int? unknown, int[]? bytes, bool inSingle)
    {
        (_unknown, _bytes, _inSingle) = (unknown, bytes, inSingle);
        _scores = [.. pieces.Select(p => p.Score ?? 0)];
        _unknownScore = Rounded(least - UnknownPenalty);
        for (var id = 0; id < pieces.Count; id++)
            if (pieces[id].Score is not null) _trie.Add(AlignedText.Points(pieces[id].Piece), id);
    }

    double Rounded(double score) => _inSingle ? (float)score : score;

    readonly record struct Best(double Score, int From, int Id);

    public void Encode(AlignedText word, List<Piece> pieces)
    {
        var best = Search(word.Runes.Span);
        var found = new List<(int From, int To, int Id)>();
        for (var to = word.Length; to > 0; to = best[to].From)
        {
            var (_, from, id) = best[to];
            // Unknown characters side by side are one: this one ends where the one before it began.
            if (id < 0 && found.Count > 0 && found[^1].Id < 0) found[^1] = (from, found[^1].To, -1);
            else found.Add((from, to, id));
        }
        for (var i = found.Count - 1; i >= 0; i--)
        {
            var (from, to, id) = found[i];
            var (start, end) = word.Place(from, to - from);
            if (id >= 0)
            {
                pieces.Add(new(id, start, end));
                continue;
            }
            var text = word.Slice(from, to - from).ToString();
            if (_bytes is not null) pieces.AddRange(Encoding.UTF8.GetBytes(text).Select(b => new Piece(_bytes[b], start, end)));
            else if (_unknown is { } unknown) pieces.Add(new(unknown, start, end, text));
            else throw new DataException($"'{text}' has no token and the vocabulary no unknown one; use a tokenizer that has");
        }
    }

    /// <summary>For every place in the text the best last piece that ends there; ids of -1 are unknown characters.</summary>
    Best[] Search(ReadOnlySpan<int> text)
    {
        var best = new Best[text.Length + 1];
        Array.Fill(best, new(0, -1, -1));
        for (var from = 0; from < text.Length; from++)
        {
            var (here, node, hasOne) = (best[from].Score, 0, false);
            for (var to = from; to < text.Length && (node = _trie.Step(node, text[to])) >= 0; to++)
                if (_trie.Value(node) is var id && id >= 0)
                {
                    hasOne |= to == from;
                    Consider(ref best[to + 1], new(Rounded(_scores[id] + here), from, id));
                }
            if (!hasOne) Consider(ref best[from + 1], new(Rounded(_unknownScore + here), from, -1));
        }
        return best;
    }

    static void Consider(ref Best best, Best candidate)
    {
        if (best.From < 0 || candidate.Score > best.Score) best = candidate;
    }
}
