using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>How a layer of a dialect is built. Everything that treats layers differently asks here.</summary>
public enum LayerKind
{
    /// <summary>Scores, choices, capacity, slots, gates: <see cref="RoutedLayer"/>.</summary>
    Routed,

    /// <summary>Two routers, one for groups of experts and one inside each (Shazeer et al. 2017, appendix B): <see cref="TwoLevelRouter"/>.</summary>
    TwoLevelRouter,

    /// <summary>Every expert has a weight from the bits of a code, and there are no choices (Hazimeh et al. 2021): <see cref="BinaryCodeRouter"/>.</summary>
    BinaryCode,

    /// <summary>Slots are mixtures of all tokens (Puigcerver et al. 2024): <see cref="SoftLayer"/>.</summary>
    Soft,

    /// <summary>Capacity at two levels: <see cref="TwoLevelLayer"/>.</summary>
    TwoLevelCapacity,
}

public static class LayerKinds
{
    public static LayerKind LayerKind(this Dialect dialect) => dialect.Selection switch
    {
        Selection.TwoLevel => Layers.LayerKind.TwoLevelRouter,
        Selection.BinaryCode => Layers.LayerKind.BinaryCode,
        Selection.SlotMixture => Layers.LayerKind.Soft,
        Selection.TwoLevelCapacity => Layers.LayerKind.TwoLevelCapacity,
        _ => Layers.LayerKind.Routed,
    };
}
