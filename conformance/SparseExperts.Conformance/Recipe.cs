using FsCheck;
using FsCheck.Fluent;

namespace SparseExperts.Conformance;

/// <summary>A random case as the few numbers that it grows from, so that shrinking finds the smallest shape that still fails.</summary>
public sealed record Recipe(OpCard Card, int Seed, Extent Extent, Temper Temper)
{
    public OpCase Case => Card.At(new Draw(new Random(Seed), Temper), Extent);

    public static Gen<Recipe> For(OpCard card, params Temper[] tempers) =>
        from seed in Gen.Choose(0, int.MaxValue)
        from rows in Side
        from columns in Side
        from depth in Side
        from temper in Gen.Elements(tempers)
        select new Recipe(card, seed, new(rows, columns, depth), temper);

    static readonly Gen<int> Side = Gen.Sized(size => Gen.Frequency(
        (4, Gen.Choose(1, Math.Max(1, size))),
        (1, Gen.Elements(1, 15, 16, 17, 31, 32, 33).Select(side => Math.Min(side, Math.Max(1, size))))));

    public IEnumerable<Recipe> Smaller()
    {
        if (Temper is Temper.Wide or Temper.Special) yield return this with { Temper = Temper - 1 };
        var (rows, columns, depth) = Extent;
        foreach (var less in Less(rows)) yield return this with { Extent = Extent with { Rows = less } };
        foreach (var less in Less(columns)) yield return this with { Extent = Extent with { Columns = less } };
        foreach (var less in Less(depth)) yield return this with { Extent = Extent with { Depth = less } };
    }

    static IEnumerable<int> Less(int side) => new[] { 1, side / 2, side - 1 }.Where(less => less >= 1 && less < side).Distinct();

    public override string ToString() => $"{Case} drawn from seed {Seed}, {Extent.Rows}×{Extent.Columns}×{Extent.Depth}, {Temper}";
}
