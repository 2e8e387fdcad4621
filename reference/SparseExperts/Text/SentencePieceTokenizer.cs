using System.Text;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// SentencePiece (Kudo &amp; Richardson 2018), unigram and BPE, with byte fallback: ids and pieces are those of the library. A <c>.model</c> says nothing of
/// tokens around a text, so none are added.
/// </summary>
sealed class SentencePieceTokenizer : ITokenizer
{
    readonly SentencePieceFile _file;
    readonly SentencePieceNormalizer _normalizer;
    readonly AddedTokens _userDefined;
    readonly IPieceModel _model;
    readonly Vocabulary _vocabulary;

    public SentencePieceTokenizer(SentencePieceFile file)
    {
        _file = file;
        _vocabulary = new(file.Pieces.Select((p, id) => KeyValuePair.Create(p.Text, id)));
        AddedToken[] own = [.. file.Pieces.Index().Where(p => p.Item.Kind == PieceKind.UserDefined)
            .Select(p => new AddedToken(p.Index, p.Item.Text, false, false, false, false, true))];
        var isBpe = file.ModelType == SentencePieceFile.Bpe;
        _normalizer = new(file, new AddedTokens(own, AlignedText.Points).Trie);
        _userDefined = new(isBpe ? own : [], AlignedText.Points);
        var unknown = file.Pieces.FindIndex(p => p.Kind == PieceKind.Unknown);
        if (unknown < 0) throw new DataException("has no piece for what is unknown");
        var bytes = file.ByteFallback ? _vocabulary.Bytes() ?? throw new DataException("lacks some of the 256 byte pieces that byte fallback needs") : null;
        _model = isBpe ? Bpe(unknown, bytes) : Unigram(unknown, bytes);
    }

    public string Kind => _file.ModelType == SentencePieceFile.Bpe ? "SentencePiece, BPE" : "SentencePiece, unigram";
    public int Vocabulary => _file.Pieces.Count;
    public int? End => Find("</s>");

    /// <summary>A piece that the user defined counts its bytes times the best score, less 0.1 (unigram_model.cc).</summary>
    UnigramModel Unigram(int unknown, int[]? bytes)
    {
        var best = _file.Pieces.Where(p => p.Kind == PieceKind.Normal).Select(p => p.Score).DefaultIfEmpty(0).Max();
        double? Score(VocabularyPiece piece) => piece.Kind switch
        {
            PieceKind.Normal => piece.Score,
            PieceKind.UserDefined => Encoding.UTF8.GetByteCount(piece.Text) * best - 0.1,
            PieceKind.Unknown or PieceKind.Control or PieceKind.Unused or PieceKind.Byte => null,
            var other => throw new InvalidOperationException($"unknown kind {other}"),
        };
        var leastOrdinary = _file.Pieces.Where(p => p.Kind == PieceKind.Normal).Select(p => p.Score).DefaultIfEmpty(0).Min();
        return new([.. _file.Pieces.Select(p => (p.Text, Score(p)))], leastOrdinary, unknown, bytes, inSingle: true);
    }

    /// <summary>
    /// User-defined pieces are cut out before. Pieces of two or more characters are merges of any two pieces that they can be cut into; equal scores are equal
    /// ranks.
    /// </summary>
    BpeModel Bpe(int unknown, int[]? bytes)
    {
        if (_file.Pieces.Any(p => p.Kind == PieceKind.Unused))
            throw new DataException("has unused pieces, which are unsupported in BPE models") { IsUnsupported = true };
        var merges = new BytePairs();
        var ranks = _file.Pieces.Where(p => p.Kind == PieceKind.Normal).Select(p => p.Score).Distinct().OrderDescending().Index()
            .ToDictionary(s => s.Item, s => s.Index);
        foreach (var (id, piece) in _file.Pieces.Index().Where(p => p.Item.Kind == PieceKind.Normal))
        {
            var points = AlignedText.Points(piece.Text);
            if (points.Length > RuneTrie.Longest) throw new DataException($"a piece of {points.Length} characters, at most {RuneTrie.Longest}");
            for (var cut = 1; cut < points.Length; cut++)
                if (Normal(points.AsSpan(0, cut)) is { } left && Normal(points.AsSpan(cut)) is { } right) merges.Add(left, right, ranks[piece.Score], id);
        }
        return new(_vocabulary, merges) { Bytes = bytes, Unknown = unknown, FusesUnknown = true };
    }

    int? Normal(ReadOnlySpan<int> points) =>
        _vocabulary.Find(AlignedText.Spell(points)) is { } id && _file.Pieces[id].Kind == PieceKind.Normal ? id : null;

    public Encoded Encode(string text, bool addSpecial = false)
    {
        var pieces = new List<Piece>(text.Length / 3 + 8);
        foreach (var (part, own) in _userDefined.Cut(_normalizer.Apply(AlignedText.Of(text))))
        {
            if (own is null) _model.Encode(part, pieces);
            else pieces.Add(new(own.Id, part.Starts.Span[0], part.Ends.Span[^1]));
        }
        return new([.. pieces.Select(p => p.Id)], [.. pieces.Select(p => p.Surface ?? _file.Pieces[p.Id].Text)], [.. pieces.Select(p => (p.Start, p.End))]);
    }

    /// <summary>
    /// As sentencepiece_processor.cc decodes: control pieces are nothing, the unknown one its surface, bytes their text; the mark of the first word is dropped.
    /// </summary>
    public string Decode(IEnumerable<int> ids, bool skipSpecial = false)
    {
        var text = new StringBuilder();
        var bytes = new List<byte>();
        var (isStart, sawMark) = (true, false);
        foreach (var id in ids.Where(id => id >= 0 && id < _file.Pieces.Count))
        {
            var piece = _file.Pieces[id];
            if (piece.Kind == PieceKind.Byte && Decoders.ByteOf(piece.Text) is { } value)
            {
                bytes.Add(value);
                continue;
            }
            Flush(bytes, text);
            if (sawMark || text.Length > 0) isStart = false;
            (var surface, sawMark) = Surface(piece, isStart, skipSpecial);
            text.Append(surface);
        }
        Flush(bytes, text);
        return text.ToString();
    }

    (string Surface, bool SawMark) Surface(VocabularyPiece piece, bool isStart, bool skipSpecial)
    {
        if (piece.Kind == PieceKind.Control) return ("", false);
        if (piece.Kind == PieceKind.Unknown) return (skipSpecial ? "" : _file.UnknownSurface, false);
        var drops = isStart && (_file.AddsDummyPrefix || _file.RemovesExtraWhitespace) && piece.Text[0] == SentencePieceNormalizer.Mark;
        var surface = (drops ? piece.Text[1..] : piece.Text).Replace((char)SentencePieceNormalizer.Mark, ' ');
        return (surface, drops && !_file.RemovesExtraWhitespace);
    }

    static void Flush(List<byte> bytes, StringBuilder text)
    {
        text.Append(Encoding.UTF8.GetString([.. bytes]));
        bytes.Clear();
    }

    public int? Find(string token) => _vocabulary.Find(token);
}
