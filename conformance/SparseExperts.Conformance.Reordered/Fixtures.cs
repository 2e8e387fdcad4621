using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Conformance.Reordered;

/// <summary>Right float32, but for the order of its sums: what a backend is that promises no bits.</summary>
public sealed class ReorderedFixture : IBackendFixture
{
    public IBackend Create(int threads) => new ScalarBackend<Reordered<ByTurns>>();
    public bool Canonical => false;
    public int EveryEdge => 6;
}

public sealed class ReorderedOpLaws : OpLaws<ReorderedFixture>;

/// <summary>Every order by itself, on a quarter of the cards' edges each; all of them meet the orders in turn in the laws above.</summary>
public sealed class OrderTests
{
    static readonly Dictionary<string, Func<IBackend>> Backends = new()
    {
        [nameof(InTwoLanes)] = () => new ScalarBackend<Reordered<InTwoLanes>>(),
        [nameof(InEightLanes)] = () => new ScalarBackend<Reordered<InEightLanes>>(),
        [nameof(Pairwise)] = () => new ScalarBackend<Reordered<Pairwise>>(),
        [nameof(Backwards)] = () => new ScalarBackend<Reordered<Backwards>>(),
        [nameof(InFourParts)] = () => new ScalarBackend<Reordered<InFourParts>>(),
        [nameof(WithoutFusing)] = () => new ScalarBackend<Reordered<WithoutFusing>>(),
        [nameof(InDrawnPairs)] = () => new ScalarBackend<Reordered<InDrawnPairs>>(),
    };

    public static TheoryData<string> Orders => [.. Backends.Keys];

    [Theory, MemberData(nameof(Orders))]
    public void A_sum_in_any_order_lies_within_the_derived_bound(string order)
    {
        var turn = Backends.Keys.Order().ToList().IndexOf(order);
        using var subject = new Subject(_ => Backends[order](), canonical: false);
        foreach (var card in OpCards.All)
            foreach (var edge in card.Edges.Where((_, i) => (i + turn) % 4 == 0)) DefinitionLaws.WithinTheBound.Demand(subject, card, edge);
    }

    [Theory, MemberData(nameof(Orders))]
    public void Each_order_gives_other_bits_than_the_definition(string order)
    {
        using var subject = new Subject(_ => Backends[order](), canonical: true);
        var card = OpCards.Named("Gemm A·B");
        Assert.Contains(card.Edges, edge => DefinitionLaws.EqualsTheDefinition.Find(subject, card, edge) is not null);
    }
}
