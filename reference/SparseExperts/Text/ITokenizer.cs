namespace SparseExperts.Text;

/// <summary>What became of a text: ids, the tokens that they name, and the code points [start, end) that each came from.</summary>
/// <remarks>Several tokens of one character share its place; tokens that were added have (0, 0).</remarks>
public sealed record Encoded(int[] Ids, string[] Tokens, (int Start, int End)[] Offsets);

/// <summary>Text to ids and back.</summary>
public interface ITokenizer
{
    /// <summary>In a few words, for a line on the screen.</summary>
    string Kind { get; }

    /// <summary>Every id is below it.</summary>
    int Vocabulary { get; }

    /// <summary>The id that ends a text; null where the vocabulary has none.</summary>
    int? End { get; }

    /// <param name="addSpecial">Adds what the tokenizer's own template puts around a text. Special tokens that stand in the text are recognised anyway.</param>
    Encoded Encode(string text, bool addSpecial = false);

    /// <summary>The text of the ids; U+FFFD stands where bytes are no text, and ids that name nothing are passed over.</summary>
    /// <param name="skipSpecial">Leaves special tokens out.</param>
    string Decode(IEnumerable<int> ids, bool skipSpecial = false);

    /// <summary>The id of a token as the vocabulary spells it; null where there is none.</summary>
    int? Find(string token);
}
