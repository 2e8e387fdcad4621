using System.Globalization;
using System.Text;

namespace SparseExperts.Text;

/// <summary>Changes a text before it is cut.</summary>
delegate AlignedText Normalizer(AlignedText text);

/// <summary>Normalizers by the names that <c>tokenizer.json</c> has for them.</summary>
static class Normalizers
{
    public static Normalizer Sequence(IReadOnlyList<Normalizer> steps) => text => steps.Aggregate(text, (changed, step) => step(changed));

    public static Normalizer Prepend(string first)
    {
        var points = AlignedText.Points(first);
        return text => text.Length == 0 ? text : WithFirst(text, points);
    }

    /// <summary>Every match becomes the content, which comes from its last character.</summary>
    public static Normalizer Replace(SplitPattern pattern, string content)
    {
        var points = AlignedText.Points(content);
        return text =>
        {
            var changed = new AlignedBuilder(text.Length);
            var end = 0;
            foreach (var (start, length) in pattern.Matches(text))
            {
                changed.Add(text.Slice(end, start - end));
                if (length > 0)
                    foreach (var point in points) changed.Add(point, text.Place(start + length - 1, 1));
                end = start + length;
            }
            changed.Add(text.Slice(end, text.Length - end));
            return changed.Build();
        };
    }

    /// <summary>A normal form of Unicode: C or D, KC or KD where <paramref name="compatible"/>.</summary>
    public static Normalizer Form(bool composed, bool compatible) =>
        text => composed ? UnicodeForms.Compose(text, compatible) : UnicodeForms.Decompose(text, compatible);

    /// <summary>Small letters by Unicode's full mapping, code point by code point: İ alone becomes two.</summary>
    public static Normalizer Lowercase() => text =>
    {
        var changed = new AlignedBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
            changed.Replace(text.Slice(i, 1), text.Runes.Span[i] == 'İ' ? ['i', 0x307] : [Rune.ToLowerInvariant(new(text.Runes.Span[i])).Value]);
        return changed.Build();
    };

    /// <summary>White space at the ends is left out.</summary>
    public static Normalizer Strip(bool left, bool right) => text =>
    {
        var (start, end) = (0, text.Length);
        while (left && start < end && Rune.IsWhiteSpace(new(text.Runes.Span[start]))) start++;
        while (right && end > start && Rune.IsWhiteSpace(new(text.Runes.Span[end - 1]))) end--;
        return text.Slice(start, end - start);
    };

    /// <summary>SentencePiece's map of characters as tokenizers applies it: to small clusters whole, else to each code point, by the shortest rule.</summary>
    public static Normalizer Precompiled(CharsMap map) => text =>
    {
        var changed = new AlignedBuilder(text.Length);
        foreach (var cluster in ClustersOf(text))
            if (Encoding.UTF8.GetByteCount(cluster.ToString()) < 6 && map.Shortest(cluster.Runes.Span) is { } whole) changed.Replace(cluster, whole);
            else
                for (var i = 0; i < cluster.Length; i++)
                {
                    var one = cluster.Slice(i, 1);
                    if (map.Shortest(one.Runes.Span) is { } other) changed.Replace(one, other);
                    else changed.Add(one);
                }
        return changed.Build();
    };

    /// <summary>A text with something before it, which comes from where its first character does.</summary>
    public static AlignedText WithFirst(AlignedText text, ReadOnlySpan<int> first)
    {
        var longer = new AlignedBuilder(text.Length + first.Length);
        foreach (var point in first) longer.Add(point, text.Place(0, 1));
        longer.Add(text);
        return longer.Build();
    }

    /// <summary>What a reader takes for one character each.</summary>
    static IEnumerable<AlignedText> ClustersOf(AlignedText text)
    {
        var spelled = text.ToString();
        for (int at = 0, place = 0; at < spelled.Length;)
        {
            var length = StringInfo.GetNextTextElementLength(spelled, at);
            var points = spelled.AsSpan(at, length).EnumerateRunes().GetEnumerator();
            var count = 0;
            while (points.MoveNext()) count++;
            yield return text.Slice(place, count);
            (at, place) = (at + length, place + count);
        }
    }
}
