namespace SparseExperts.Oracle;

/// <summary>The numbers of a stage: claimed, expected, and how far rounding may take each from the other.</summary>
/// <param name="Format">What the claim is kept in.</param>
public sealed record Departure(double[] Claimed, double[] Expected, double[] Bounds, NumberFormat Format)
{
    /// <summary>Places that rounding does not explain.</summary>
    public IEnumerable<int> Places => Enumerable.Range(0, Claimed.Length).Where(i => !Is(i, Expected[i], Bounds[i]));

    bool Is(int i, double value, double room) => Claimed[i] == value || Math.Abs(Claimed[i] - value) <= room;

    bool Are(Func<int, double> value, Func<int, double> room) => Enumerable.Range(0, Claimed.Length).All(i => Is(i, value(i), room(i)));

    /// <summary>Whether the claims are a factor times what is expected: the errors grow with it, and the product is rounded once.</summary>
    public bool AreTimes(double factor) => Are(i => factor * Expected[i], i => Math.Abs(factor) * Bounds[i] + HalfUnit(factor * Expected[i]));

    /// <summary>Whether the claims are what is expected and something else.</summary>
    /// <param name="added">The sum of <paramref name="terms"/> terms, and of their sizes: each addition rounds once.</param>
    public bool ArePlus(Func<int, (double Sum, double Sizes)> added, int terms) =>
        Are(i => Expected[i] + added(i).Sum, i => Bounds[i] + (terms + 1) * HalfUnit(Math.Abs(Expected[i]) + added(i).Sizes));

    /// <summary>Whether the claims are these numbers, known up to a bound, and rounded once.</summary>
    public bool AreOthers(double[] values, double[] bounds) => Are(i => values[i], i => bounds[i] + HalfUnit(values[i]));

    double HalfUnit(double size) => Rounding.HalfUnit(Format == NumberFormat.Float64 ? NumberFormat.Float32 : Format, size);
}
