using System.Text;

namespace SparseExperts.Text;

/// <summary>Cuts a piece of text into pieces that are encoded apart from each other.</summary>
delegate IEnumerable<AlignedText> PreTokenizer(AlignedText piece);

/// <summary>When Metaspace puts its mark before a piece that begins with none.</summary>
enum PrependScheme { Always, First, Never }

/// <summary>Ways to cut that need no pattern of the file.</summary>
static class Splitting
{
    /// <summary>One after the other.</summary>
    public static PreTokenizer Sequence(IReadOnlyList<PreTokenizer> steps) =>
        piece => steps.Aggregate((IEnumerable<AlignedText>)[piece], (pieces, step) => pieces.SelectMany(p => step(p)));

    /// <summary>Spaces become a mark, which also stands before the first word; a piece begins at each mark.</summary>
    public static PreTokenizer Metaspace(Rune mark, PrependScheme scheme, bool split)
    {
        var cut = SplitPattern.Literal(mark.ToString()).Cut(SplitBehaviour.MergedWithNext, invert: false);
        return piece =>
        {
            var spelled = new AlignedBuilder(piece.Length);
            for (var i = 0; i < piece.Length; i++) spelled.Add(piece.Runes.Span[i] == ' ' ? mark.Value : piece.Runes.Span[i], piece.Place(i, 1));
            var text = spelled.Build();
            if (text.Length == 0) return [];
            var wants = scheme == PrependScheme.Always || scheme == PrependScheme.First && text.Starts.Span[0] == 0;
            if (wants && text.Runes.Span[0] != mark.Value) text = Normalizers.WithFirst(text, [mark.Value]);
            return split ? cut(text) : [text];
        };
    }

    /// <summary>Words between white space, which is dropped.</summary>
    public static PreTokenizer Whitespace() => SplitPattern.Of(@"\s").Cut(SplitBehaviour.Removed, invert: false);

    /// <summary>Numbers apart from the rest, digit by digit if asked.</summary>
    public static PreTokenizer Digits(bool individual) =>
        SplitPattern.Of(@"\p{N}").Cut(individual ? SplitBehaviour.Isolated : SplitBehaviour.Contiguous, invert: false);
}
