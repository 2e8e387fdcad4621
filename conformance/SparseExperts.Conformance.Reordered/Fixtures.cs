using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Conformance.Reordered;

/// <summary>Right float32, but for the order of its sums: what a backend is that promises no bits.</summary>
public sealed class ReorderedFixture : IBackendFixture
{
    public IBackend Create(int threads) => new ScalarBackend<Reordered>();
    public bool Canonical => false;
    public bool HasThreads => false;
    public int EveryEdge => 12;
    public int EveryCard => 3;
}

public sealed class ReorderedOpLaws : OpLaws<ReorderedFixture>;

/// <summary>Every edge in one of the orders, each order by itself; all of them meet in turn in the laws above.</summary>
public sealed class OrderTests : IDisposable
{
    static readonly string[] Names = [.. Orders.All.Select(o => o.Method.Name).Order()];

    public static TheoryData<string> Each => [.. Names];

    public void Dispose() => Reordered.Order = Orders.ByTurns;

    static Subject In(string order, bool canonical)
    {
        Reordered.Order = Orders.All.Single(o => o.Method.Name == order);
        return new(_ => new ScalarBackend<Reordered>(), canonical);
    }

    [Theory, MemberData(nameof(Each))]
    public void A_sum_in_any_order_lies_within_the_derived_bound(string order)
    {
        var turn = Array.IndexOf(Names, order);
        using var subject = In(order, canonical: false);
        foreach (var card in OpCards.All)
            foreach (var edge in card.Edges.Where((_, i) => i % Names.Length == turn)) DefinitionLaws.WithinTheBound.Demand(subject, card, edge);
    }

    [Theory, MemberData(nameof(Each))]
    public void Each_order_gives_other_bits_than_the_definition(string order)
    {
        using var subject = In(order, canonical: true);
        var card = OpCards.Named("Gemm A·B");
        Assert.Contains(card.Edges, edge => DefinitionLaws.EqualsTheDefinition.Find(subject, card, edge) is not null);
    }
}
