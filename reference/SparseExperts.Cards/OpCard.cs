namespace SparseExperts;

/// <summary>
/// How close the outputs of a backend that does not promise the canonical bits must come. Gradients, and outputs that add to what was there, are
/// sums and are held as <see cref="Reduction"/> is. Backends that promise the canonical bits must equal them always.
/// </summary>
public abstract record Exactness;

/// <summary>Copies, choices and exactly rounded operations: the same bits everywhere.</summary>
public sealed record Bitwise : Exactness;

/// <summary>At most <paramref name="Count"/> units in the last place from the exact value, for every element.</summary>
public sealed record Ulps(double Count) : Exactness;

/// <summary>
/// A sum over <paramref name="Over"/>, in any order and with or without fused multiply-adds: |y' − y| ≤ γ_n·Σ|terms|, γ_n = nu / (1 − nu),
/// u = 2⁻²⁴, besides what the terms carry from sums and functions before.
/// </summary>
public sealed record Reduction(string Over) : Exactness;

/// <summary>About how large a case is; a card reads its own shapes out of the three numbers.</summary>
public readonly record struct Extent(int Rows, int Columns, int Depth);

/// <summary>
/// A wrong call and the exact line that it fails with; <c>{backend}</c> stands for the backend's name. The second argument is another
/// backend, for calls that mix owners.
/// </summary>
public sealed record OpError(string Name, Action<IBackend, IBackend> Call, string Message);

/// <summary>A place where the derivative does not exist, and the value that the op defines there.</summary>
public sealed record OpKink(OpCase Case, string Gradient, double[] Expected);

/// <summary>
/// Everything about one op in one place: formula, gradient, source, cases, wrong calls. Conformance, gradient checks and benchmarks
/// enumerate the cards, so an op that has a card has its tests.
/// </summary>
public sealed class OpCard
{
    public required string Name { get; init; }
    public required string Family { get; init; }
    public required string Formula { get; init; }
    public required string Gradient { get; init; }
    public required string Source { get; init; }

    /// <summary>What NaN, infinities, empty rows and ties do.</summary>
    public required string SpecialValues { get; init; }
    public required Exactness Exactness { get; init; }

    /// <summary>Draws a case of about the given extent.</summary>
    public required Func<Draw, Extent, OpCase> Case { get; init; }

    public required Action<IBackend, OpCall> Forward { get; init; }

    /// <summary>From the cotangents of the outputs to the gradients of the inputs; null when the op is no part of a tape.</summary>
    public Action<IBackend, OpCall>? Backward { get; init; }

    /// <summary>Cases that the edges of the extent do not reach.</summary>
    public Func<Draw, IEnumerable<OpCase>> MoreEdges { get; init; } = _ => [];

    public IReadOnlyList<OpKink> Kinks { get; init; } = [];
    public required IReadOnlyList<OpError> Errors { get; init; }

    /// <summary>An output that may be the same view as an input.</summary>
    public (string Input, string Output)? InPlace { get; init; }

    /// <summary>The same card with another forward call and no backward one.</summary>
    public OpCard Rebound(Action<OpCall> forward) => new()
    {
        Name = Name,
        Family = Family,
        Formula = Formula,
        Gradient = Gradient,
        Source = Source,
        SpecialValues = SpecialValues,
        Exactness = Exactness,
        Case = Case,
        Forward = (_, call) => forward(call),
        Errors = Errors,
    };

    /// <summary>A random case whose extents are at most <paramref name="size"/>.</summary>
    public OpCase Sample(Random random, int size)
    {
        var draw = new Draw(random);
        return At(draw, new(draw.Between(1, Math.Max(1, size)), draw.Between(1, Math.Max(1, size)), draw.Between(1, Math.Max(1, size))));
    }

    /// <summary>A case of the given extent, complete with cotangents, old values, padding and the choice to accumulate.</summary>
    public OpCase At(Draw draw, Extent extent) => draw.Complete(Case(draw, extent), draw.Coin(), draw.Coin() ? 0 : draw.Between(1, 5));

    /// <summary>
    /// Lengths around the 16 lanes and around the blocks of products, nothing at all, padded rows, and special values. Every one both
    /// overwrites and accumulates.
    /// </summary>
    public IEnumerable<OpCase> Edges
    {
        get
        {
            var index = 0;
            foreach (var extent in Extents)
                foreach (var temper in extent.Columns > 33 ? [Temper.Calm] : Enum.GetValues<Temper>())
                {
                    var draw = new Draw(new Random(++index), temper);
                    var drawn = Case(draw, extent);
                    foreach (var accumulate in (bool[])[false, true]) yield return draw.Complete(drawn, accumulate, index % 2 == 0 ? 0 : 3);
                }
            var more = new Draw(new Random(1));
            foreach (var drawn in MoreEdges(more)) yield return more.Complete(drawn, drawn.Accumulate, 0);
        }
    }

    /// <summary>Cases large enough that a backend shares them among threads.</summary>
    public IEnumerable<OpCase> Large
    {
        get
        {
            var draw = new Draw(new Random(2));
            yield return draw.Complete(Case(draw, new(70, 210, 64)), false, 0);
            yield return draw.Complete(Case(draw, new(211, 66, 40)), true, 3);
        }
    }

    static readonly Extent[] Extents =
    [
        new(3, 1, 2), new(2, 15, 15), new(1, 16, 16), new(4, 17, 17), new(13, 31, 5), new(5, 33, 33), new(0, 16, 3), new(3, 16, 0),
        new(2, 40, 300), new(2, 530, 3),
    ];

    public override string ToString() => Name;
}
