namespace SparseExperts;

/// <summary>The card of every op. A new op adds its card to its family's file, and all laws hold it from then on.</summary>
public static class OpCards
{
    public static IReadOnlyList<OpCard> All { get; } =
    [
        .. LinearAlgebraCards.All, .. PointwiseCards.All, .. ActivationCards.All, .. RowCards.All, .. NormCards.All, .. AttentionCards.All,
        .. IndexingCards.All, .. MixtureCards.All, .. OptimizerCards.All, .. MemoryCards.All,
    ];

    public static OpCard Named(string name) =>
        All.FirstOrDefault(card => card.Name == name) ?? throw new ArgumentException($"no card '{name}'; there are {string.Join(", ", All)}", nameof(name));
}
