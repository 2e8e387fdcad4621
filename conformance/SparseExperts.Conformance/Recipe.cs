using FsCheck;
using FsCheck.Fluent;

namespace SparseExperts.Conformance;

/// <summary>
/// Random cases as the few numbers that they grow from: one for every card, so that each card meets as many as are drawn. Shrinking keeps the first
/// card that fails, then finds the smallest shape that still does.
/// </summary>
public sealed record Recipe(int Seed, Extent Extent, Temper Temper, OpCard? Card = null)
{
    public OpCase For(OpCard card) => card.At(new Draw(new Random(Seed), Temper), Extent);

    /// <summary>Those of the given cards that the recipe is for.</summary>
    public IEnumerable<OpCard> Among(IEnumerable<OpCard> cards) => cards.Where(card => Card is null || card == Card);

    public static Gen<Recipe> Of(params Temper[] tempers) =>
        from seed in Gen.Choose(0, int.MaxValue)
        from rows in Side
        from columns in Side
        from depth in Side
        from temper in Gen.Elements(tempers)
        select new Recipe(seed, new(rows, columns, depth), temper);

    static readonly Gen<int> Side = Gen.Sized(size => Gen.Frequency(
        (4, Gen.Choose(1, Math.Max(1, size))),
        (1, Gen.Elements(1, 15, 16, 17, 31, 32, 33).Select(side => Math.Min(side, Math.Max(1, size))))));

    public IEnumerable<Recipe> Smaller()
    {
        if (Card is null) return OpCards.All.Select(card => this with { Card = card });
        return Calmer().Concat(Shorter());
    }

    IEnumerable<Recipe> Calmer() => Temper is Temper.Wide or Temper.Special ? [this with { Temper = Temper - 1 }] : [];

    IEnumerable<Recipe> Shorter()
    {
        var (rows, columns, depth) = Extent;
        foreach (var less in Less(rows)) yield return this with { Extent = Extent with { Rows = less } };
        foreach (var less in Less(columns)) yield return this with { Extent = Extent with { Columns = less } };
        foreach (var less in Less(depth)) yield return this with { Extent = Extent with { Depth = less } };
    }

    static IEnumerable<int> Less(int side) => new[] { 1, side / 2, side - 1 }.Where(less => less >= 1 && less < side).Distinct();

    public override string ToString() =>
        $"{(Card is null ? "every card" : For(Card))} drawn from seed {Seed}, {Extent.Rows}×{Extent.Columns}×{Extent.Depth}, {Temper}";
}
