namespace SparseExperts.Oracle;

/// <summary>The numbers of a stage: claimed, expected, and how far rounding may take each from the other.</summary>
/// <param name="Bounds">0 where numbers are whole.</param>
/// <param name="Format">What the claim is kept in.</param>
public sealed record Departure(double[] Claimed, double[] Expected, double[] Bounds, NumberFormat Format)
{
    /// <summary>Whether a number counts at all; the gate of a choice that nobody made does not.</summary>
    internal Func<int, bool> Counts { get; init; } = _ => true;

    /// <summary>Numbers side by side that may stand in any order, as a token's experts where their order is open; 1 where none may.</summary>
    internal int Unordered { get; init; } = 1;

    /// <summary>Whole numbers, which are equal or not.</summary>
    internal static Departure? Whole(int[] claimed, int[] expected, int unordered = 1) => claimed.Length != expected.Length ? null
        : new(Array.ConvertAll(claimed, v => (double)v), Array.ConvertAll(expected, v => (double)v), new double[claimed.Length], NumberFormat.Float64)
        {
            Unordered = unordered,
        };

    double[] InOrder(double[] values) => [.. values.Chunk(Unordered).SelectMany(row => row.Order())];

    /// <summary>The same with an order where none is kept.</summary>
    Departure Ordered => Unordered == 1 ? this : this with { Claimed = InOrder(Claimed), Expected = InOrder(Expected), Unordered = 1 };

    /// <summary>Places that rounding does not explain.</summary>
    public IEnumerable<int> Places => Enumerable.Range(0, Claimed.Length).Where(i => !Is(i, Expected[i], Bounds[i]));

    bool Is(int i, double value, double room) => !Counts(i) || Claimed[i] == value || Math.Abs(Claimed[i] - value) <= room
        || double.IsNaN(Claimed[i]) && double.IsNaN(value);

    bool Are(Func<int, double> value, Func<int, double> room) => Enumerable.Range(0, Claimed.Length).All(i => Is(i, value(i), room(i)));

    /// <summary>Whether the claims are a factor times what is expected: the errors grow with it, and the product is rounded once.</summary>
    public bool AreTimes(double factor) => Are(i => factor * Expected[i], i => Math.Abs(factor) * Bounds[i] + HalfUnit(factor * Expected[i]));

    /// <summary>Whether the claims are what is expected and something else.</summary>
    /// <param name="added">The sum of <paramref name="terms"/> terms, and of their sizes: each addition rounds once.</param>
    public bool ArePlus(Func<int, (double Sum, double Sizes)> added, int terms) =>
        Are(i => Expected[i] + added(i).Sum, i => Bounds[i] + (terms + 1) * HalfUnit(Math.Abs(Expected[i]) + added(i).Sizes));

    /// <summary>
    /// Whether the claims are these numbers, known up to a bound, and rounded once; and whether these are others than what is expected, so that not the
    /// bound alone lets the claims pass.
    /// </summary>
    public bool AreOthers(double[] values, double[] bounds)
    {
        if (values.Length != Claimed.Length) return false;
        if (Unordered > 1) return Ordered.AreOthers(InOrder(values), bounds);
        return Are(i => values[i], i => bounds[i] + HalfUnit(values[i])) && AreApart(values, bounds);
    }

    /// <summary>Whether some departing number lies outside of what the bounds of these numbers allow for what is expected.</summary>
    bool AreApart(double[] values, double[] bounds) => Places.Any(i => !(Math.Abs(values[i] - Expected[i]) <= bounds[i]));

    /// <summary>
    /// Whether a rule that computes other numbers explains the claims: they are its numbers, and not those of the right rule under its wider bounds. Of whole
    /// numbers most of those that departed must be the rule's own, for ties may settle the others.
    /// </summary>
    /// <param name="its">The same claims beside what the other rule expects; null where it cannot be compared number by number.</param>
    /// <param name="isOpen">The rule leaves the numbers open, so that only equal ones speak for it.</param>
    internal bool IsExplainedBy(Departure? its, bool isOpen = false)
    {
        if (its is null || its.Expected.Length != Expected.Length) return false;
        if (Unordered > 1) return Ordered.IsExplainedBy((its with { Unordered = Unordered }).Ordered, isOpen);
        if (Bounds.Any(b => b != 0)) return AreApart(its.Expected, its.Bounds);
        int[] places = [.. Places];
        var equal = places.Count(i => its.Expected[i] == Claimed[i]);
        return isOpen ? equal == places.Length : 2 * equal > places.Length;
    }

    internal double HalfUnit(double size) => Rounding.HalfUnit(Format == NumberFormat.Float64 ? NumberFormat.Float32 : Format, Math.Abs(size));
}
