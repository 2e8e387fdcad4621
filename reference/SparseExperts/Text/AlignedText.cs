using System.Text;

namespace SparseExperts.Text;

/// <summary>Code points, and for each the code points [start, end) of the original text that it came from.</summary>
readonly record struct AlignedText(ReadOnlyMemory<int> Runes, ReadOnlyMemory<int> Starts, ReadOnlyMemory<int> Ends)
{
    public int Length => Runes.Length;

    /// <summary>The whole of a text; halves of surrogates that stand alone become U+FFFD.</summary>
    public static AlignedText Of(string text)
    {
        int[] runes = [.. text.EnumerateRunes().Select(r => r.Value)];
        int[] places = [.. Enumerable.Range(0, runes.Length + 1)];
        return new(runes, places.AsMemory(0, runes.Length), places.AsMemory(1));
    }

    public AlignedText Slice(int start, int length) => new(Runes.Slice(start, length), Starts.Slice(start, length), Ends.Slice(start, length));

    /// <summary>Where a run of it came from.</summary>
    public (int Start, int End) Place(int start, int length) => (Starts.Span[start], Ends.Span[start + length - 1]);

    public override string ToString() => Spell(Runes.Span);

    public static string Spell(ReadOnlySpan<int> runes)
    {
        var text = new StringBuilder(runes.Length);
        foreach (var rune in runes)
            if (rune < 0x10000) text.Append((char)rune);
            else text.Append(new Rune(rune));
        return text.ToString();
    }

    /// <summary>Code points of a string.</summary>
    public static int[] Points(string text) => [.. text.EnumerateRunes().Select(r => r.Value)];
}

/// <summary>Builds an <see cref="AlignedText"/> from parts of others.</summary>
sealed class AlignedBuilder(int capacity)
{
    readonly List<int> _runes = new(capacity), _starts = new(capacity), _ends = new(capacity);

    public int Length => _runes.Count;
    public int Last => _runes[^1];

    public void Add(int rune, (int Start, int End) place)
    {
        _runes.Add(rune);
        _starts.Add(place.Start);
        _ends.Add(place.End);
    }

    public void Add(AlignedText text)
    {
        _runes.AddRange(text.Runes.Span);
        _starts.AddRange(text.Starts.Span);
        _ends.AddRange(text.Ends.Span);
    }

    /// <summary>
    /// What stands for a part: its i-th code point comes from the part's i-th, and those that are more from the last one.
    /// </summary>
    public void Replace(AlignedText part, ReadOnlySpan<int> by)
    {
        for (var i = 0; i < by.Length; i++) Add(by[i], part.Place(Math.Min(i, part.Length - 1), 1));
    }

    public void RemoveLast()
    {
        _runes.RemoveAt(_runes.Count - 1);
        _starts.RemoveAt(_starts.Count - 1);
        _ends.RemoveAt(_ends.Count - 1);
    }

    public AlignedText Build() => new(_runes.ToArray(), _starts.ToArray(), _ends.ToArray());
}
