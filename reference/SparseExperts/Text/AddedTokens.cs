using System.Text;

namespace SparseExperts.Text;

/// <summary>A token that is recognised in texts before anything else, as <c>added_tokens</c> says it.</summary>
/// <param name="IsSpecial">Left out of texts when they are decoded without.</param>
/// <param name="SingleWord">Only where no letter, digit or underscore stands beside it.</param>
/// <param name="TakesLeft">White space before it belongs to it.</param>
/// <param name="TakesRight">White space behind it belongs to it.</param>
/// <param name="IsNormalized">Looked for in the normalized text.</param>
sealed record AddedToken(int Id, string Content, bool IsSpecial, bool SingleWord, bool TakesLeft, bool TakesRight, bool IsNormalized);

/// <summary>Cuts added tokens out of a text: from the left, the longest that stands at a place.</summary>
sealed class AddedTokens
{
    readonly IReadOnlyList<AddedToken> _tokens;

    /// <param name="spelled">How a token is spelled in the text that is looked at.</param>
    public AddedTokens(IReadOnlyList<AddedToken> tokens, Func<string, int[]> spelled)
    {
        _tokens = tokens;
        for (var i = 0; i < tokens.Count; i++)
            if (spelled(tokens[i].Content) is { Length: > 0 } points) Trie.Add(points, i);
    }

    public RuneTrie Trie { get; } = new();

    /// <summary>The text in parts: added tokens, and what stands between them (no token).</summary>
    public IEnumerable<(AlignedText Text, AddedToken? Token)> Cut(AlignedText text)
    {
        var from = 0;
        for (var at = 0; !Trie.IsEmpty && at < text.Length;)
        {
            var (number, length) = Trie.LongestAt(text.Runes.Span[at..]);
            if (number < 0 || _tokens[number].SingleWord && IsInWord(text, at, length))
            {
                at += Math.Max(1, length);
                continue;
            }
            var token = _tokens[number];
            var (start, end) = (at, at + length);
            while (token.TakesLeft && start > from && IsSpace(text.Runes.Span[start - 1])) start--;
            while (token.TakesRight && end < text.Length && IsSpace(text.Runes.Span[end])) end++;
            if (start > from) yield return (text.Slice(from, start - from), null);
            yield return (text.Slice(start, end - start), token);
            (from, at) = (end, end);
        }
        if (from < text.Length) yield return (text.Slice(from, text.Length - from), null);
    }

    static bool IsSpace(int rune) => Rune.IsWhiteSpace(new(rune));

    static bool IsInWord(AlignedText text, int at, int length)
    {
        static bool IsWord(int rune) => rune == '_' || Rune.IsLetterOrDigit(new(rune));
        return at > 0 && IsWord(text.Runes.Span[at - 1]) || at + length < text.Length && IsWord(text.Runes.Span[at + length]);
    }
}
