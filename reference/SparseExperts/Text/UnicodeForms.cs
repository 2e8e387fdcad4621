using System.Globalization;

namespace SparseExperts.Text;

/// <summary>
/// Unicode's normal forms (UAX #15), own code because programs in invariant mode have none: what is decomposed keeps its place, what is composed has the place
/// of its first part. The tables are <c>decompositions.txt</c>.
/// </summary>
static class UnicodeForms
{
    /// <summary>Hangul: lead, vowel and trail consonants and syllables, which follow a rule (The Unicode Standard, section 3.12).</summary>
    const int Leads = 0x1100, Vowels = 0x1161, Trails = 0x11A7, Syllables = 0xAC00;
    const int LeadCount = 19, VowelCount = 21, TrailCount = 28, SyllableCount = LeadCount * VowelCount * TrailCount;

    readonly record struct Point(int Rune, (int Start, int End) Place);

    sealed class Tables
    {
        public Dictionary<int, int> Class { get; } = [];
        public Dictionary<int, int[]> Canonical { get; } = [];
        public Dictionary<int, int[]> Compatible { get; } = [];
        public Dictionary<(int, int), int> Composed { get; } = [];
    }

    static readonly Lazy<Tables> Loaded = new(Read);

    /// <summary>The form D, or KD where <paramref name="compatible"/>.</summary>
    public static AlignedText Decompose(AlignedText text, bool compatible)
    {
        var points = new List<Point>(text.Length);
        for (var i = 0; i < text.Length; i++) Decompose(text.Runes.Span[i], text.Place(i, 1), compatible, points);
        return Build(Ordered(points));
    }

    /// <summary>The form C, or KC where <paramref name="compatible"/>.</summary>
    public static AlignedText Compose(AlignedText text, bool compatible)
    {
        var points = new List<Point>(text.Length);
        for (var i = 0; i < text.Length; i++) Decompose(text.Runes.Span[i], text.Place(i, 1), compatible, points);
        return Build(Joined(Ordered(points)));
    }

    static void Decompose(int rune, (int, int) place, bool compatible, List<Point> points)
    {
        if (rune < 0xA0)
        {
            points.Add(new(rune, place));
            return;
        }
        if (rune is >= Syllables and < Syllables + SyllableCount)
        {
            var syllable = rune - Syllables;
            points.Add(new(Leads + syllable / (VowelCount * TrailCount), place));
            points.Add(new(Vowels + syllable / TrailCount % VowelCount, place));
            if (syllable % TrailCount > 0) points.Add(new(Trails + syllable % TrailCount, place));
            return;
        }
        if (Loaded.Value.Canonical.TryGetValue(rune, out var parts) || compatible && Loaded.Value.Compatible.TryGetValue(rune, out parts))
            foreach (var part in parts) Decompose(part, place, compatible, points);
        else points.Add(new(rune, place));
    }

    static int Class(int rune) => rune < 0x300 ? 0 : Loaded.Value.Class.GetValueOrDefault(rune);

    /// <summary>Marks behind each other in the order of their classes; equals keep theirs.</summary>
    static List<Point> Ordered(List<Point> points)
    {
        for (int start = 0, end; start < points.Count; start = end + 1)
        {
            for (end = start; end < points.Count && Class(points[end].Rune) != 0;) end++;
            if (end - start < 2) continue;
            var marks = points.GetRange(start, end - start).OrderBy(p => Class(p.Rune)).ToList();
            for (var i = 0; i < marks.Count; i++) points[start + i] = marks[i];
        }
        return points;
    }

    /// <summary>A mark joins the last character of class 0 if both make one and no mark between them has its class or a higher one.</summary>
    static List<Point> Joined(List<Point> points)
    {
        var joined = new List<Point>(points.Count);
        var (starter, last) = (-1, 0);
        foreach (var point in points)
        {
            var own = Class(point.Rune);
            var isNext = starter >= 0 && (starter == joined.Count - 1 || last != 0 && last < own);
            if (isNext && Pair(joined[starter].Rune, point.Rune) is { } pair)
            {
                joined[starter] = joined[starter] with { Rune = pair };
                continue;
            }
            if (own == 0) starter = joined.Count;
            last = own;
            joined.Add(point);
        }
        return joined;
    }

    static int? Pair(int first, int second)
    {
        if (first is >= Leads and < Leads + LeadCount && second is >= Vowels and < Vowels + VowelCount)
            return Syllables + ((first - Leads) * VowelCount + second - Vowels) * TrailCount;
        if (first is >= Syllables and < Syllables + SyllableCount && (first - Syllables) % TrailCount == 0 && second is > Trails and < Trails + TrailCount)
            return first + second - Trails;
        return second >= 0x300 && Loaded.Value.Composed.TryGetValue((first, second), out var pair) ? pair : null;
    }

    static AlignedText Build(List<Point> points)
    {
        var text = new AlignedBuilder(points.Count);
        foreach (var (rune, place) in points) text.Add(rune, place);
        return text.Build();
    }

    static Tables Read()
    {
        var tables = new Tables();
        using var stream = typeof(UnicodeForms).Assembly.GetManifestResourceStream("SparseExperts.Text.decompositions.txt")
            ?? throw new InvalidOperationException("the program has no table of decompositions");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#')) continue;
            var fields = line.Split(';');
            var rune = Hex(fields[0]);
            if (fields[1].Length > 0) tables.Class[rune] = int.Parse(fields[1], CultureInfo.InvariantCulture);
            if (fields[3].Length > 0) tables.Compatible[rune] = Points(fields[3]);
            if (fields[2].Length == 0) continue;
            var parts = tables.Canonical[rune] = Points(fields[2]);
            if (parts.Length == 2 && fields[4].Length == 0) tables.Composed[(parts[0], parts[1])] = rune;
        }
        return tables;
    }

    static int[] Points(string field) => [.. field.Split(' ').Select(Hex)];

    static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
