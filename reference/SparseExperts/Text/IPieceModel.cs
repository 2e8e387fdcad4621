using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>An id, and where in the text it came from.</summary>
/// <param name="Surface">What stood in the text where the id is the unknown one; null where the id says it.</param>
readonly record struct Piece(int Id, int Start, int End, string? Surface = null);

/// <summary>Finds the ids of a word, which is a text after normalizing and cutting.</summary>
interface IPieceModel
{
    void Encode(AlignedText word, List<Piece> pieces);
}

/// <summary>Tokens and their ids.</summary>
sealed class Vocabulary
{
    readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    readonly Dictionary<int, string> _tokens = [];

    /// <exception cref="DataException">A token or an id is there twice.</exception>
    public Vocabulary(IEnumerable<KeyValuePair<string, int>> tokens)
    {
        foreach (var (token, id) in tokens)
        {
            if (!_ids.TryAdd(token, id)) throw new DataException($"the vocabulary has the token '{token}' twice");
            if (!_tokens.TryAdd(id, token)) throw new DataException($"the vocabulary has the id {id} twice ('{_tokens[id]}', '{token}')");
        }
    }

    /// <summary>One more than the largest id.</summary>
    public int Size => _tokens.Count == 0 ? 0 : _tokens.Keys.Max() + 1;
    public int? Find(string token) => _ids.TryGetValue(token, out var id) ? id : null;
    public string? Token(int id) => _tokens.GetValueOrDefault(id);

    /// <summary>The ids of the 256 bytes, spelled as <c>&lt;0x0A&gt;</c>; null where one is missing.</summary>
    public int[]? Bytes()
    {
        var ids = Enumerable.Range(0, 256).Select(b => Find(ByteTokenizer.Name(b))).ToArray();
        return ids.All(id => id is not null) ? [.. ids.Select(id => id.GetValueOrDefault())] : null;
    }
}
