namespace SparseExperts.Text;

/// <summary>
/// The tokenizer of a <c>tokenizer.json</c> (Hugging Face tokenizers): added tokens are cut out, what is left is normalized, cut into words, and each word
/// encoded by the model. Made by <see cref="TokenizerJson"/>.
/// </summary>
sealed class JsonTokenizer : ITokenizer
{
    /// <summary>How vocabularies spell the end of a text.</summary>
    static readonly string[] EndNames = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>"];

    readonly Dictionary<int, AddedToken> _added;
    readonly AddedTokens _raw, _normalized;

    internal JsonTokenizer(Vocabulary vocabulary, IReadOnlyList<AddedToken> added, Normalizer normalizer)
    {
        (Tokens, Normalizer) = (vocabulary, normalizer);
        _added = added.ToDictionary(t => t.Id);
        _raw = new([.. added.Where(t => !t.IsNormalized)], AlignedText.Points);
        _normalized = new([.. added.Where(t => t.IsNormalized)], content => normalizer(AlignedText.Of(content)).Runes.ToArray());
        Vocabulary = Math.Max(vocabulary.Size, added.Select(t => t.Id + 1).DefaultIfEmpty(0).Max());
    }

    public required string Kind { get; init; }
    public int Vocabulary { get; }
    public int? End => EndNames.Select(Find).FirstOrDefault(id => id is not null);

    internal Vocabulary Tokens { get; }
    internal Normalizer Normalizer { get; }
    internal required PreTokenizer PreTokenizer { get; init; }
    internal required IPieceModel Model { get; init; }
    internal required Decoder Decoder { get; init; }

    /// <summary>Ids that the template puts before and behind a text.</summary>
    internal required (int[] Before, int[] Behind) Template { get; init; }

    /// <summary>What the post-processor makes of places; null leaves them.</summary>
    internal required Func<string, (int Start, int End), bool, (int Start, int End)>? Places { get; init; }

    public Encoded Encode(string text, bool addSpecial = false)
    {
        var pieces = new List<Piece>(text.Length / 3 + 8);
        foreach (var (part, token) in _raw.Cut(AlignedText.Of(text)))
            if (token is not null) Add(pieces, part, token);
            else
                foreach (var (inner, normal) in _normalized.Cut(Normalizer(part)))
                    if (normal is not null) Add(pieces, inner, normal);
                    else
                        foreach (var word in PreTokenizer(inner)) Model.Encode(word, pieces);
        return Result(pieces, addSpecial ? Template : ([], []));
    }

    static void Add(List<Piece> pieces, AlignedText text, AddedToken token)
    {
        var (start, end) = text.Place(0, text.Length);
        pieces.Add(new(token.Id, start, end));
    }

    Encoded Result(List<Piece> pieces, (int[] Before, int[] Behind) around)
    {
        int[] ids = [.. around.Before, .. pieces.Select(p => p.Id), .. around.Behind];
        string[] tokens = [.. ids.Select(id => Token(id) ?? "")];
        var offsets = new (int, int)[ids.Length];
        for (var i = 0; i < pieces.Count; i++)
        {
            var place = (pieces[i].Start, pieces[i].End);
            var at = around.Before.Length + i;
            tokens[at] = pieces[i].Surface ?? tokens[at];
            offsets[at] = Places is null ? place : Places(tokens[at], place, i == 0);
        }
        return new(ids, tokens, offsets);
    }

    public string Decode(IEnumerable<int> ids, bool skipSpecial = false) => string.Concat(Decoder(
        from id in ids
        where !(skipSpecial && _added.TryGetValue(id, out var added) && added.IsSpecial)
        let token = Token(id)
        where token is not null
        select token));

    string? Token(int id) => _added.TryGetValue(id, out var added) ? added.Content : Tokens.Token(id);

    public int? Find(string token) => _added.Values.FirstOrDefault(t => t.Content == token)?.Id ?? Tokens.Find(token);
}
