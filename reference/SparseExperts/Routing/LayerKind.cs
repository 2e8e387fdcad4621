namespace SparseExperts.Routing;

/// <summary>How a layer of a dialect is built. Everything that treats layers differently asks here; <see cref="LayerAxes"/> says what each reads.</summary>
public enum LayerKind
{
    /// <summary>Scores, choices, capacity, slots, gates: <c>Layers/RoutedLayer.cs</c>.</summary>
    Routed,

    /// <summary>Two routers, one for groups of experts and one inside each (Shazeer et al. 2017, appendix B): <c>Layers/TwoLevelRouter.cs</c>.</summary>
    TwoLevelRouter,

    /// <summary>Every expert has a weight from the bits of a code, and there are no choices (Hazimeh et al. 2021): <see cref="BinaryCodeRouter"/>.</summary>
    BinaryCode,

    /// <summary>Slots are mixtures of all tokens (Puigcerver et al. 2024): <c>Layers/SoftLayer.cs</c>.</summary>
    Soft,

    /// <summary>Capacity at two levels: <c>Layers/TwoLevelLayer.cs</c>.</summary>
    TwoLevelCapacity,
}

public static class LayerKinds
{
    public static LayerKind LayerKind(this Dialect dialect) => dialect.Selection switch
    {
        Selection.TwoLevel => Routing.LayerKind.TwoLevelRouter,
        Selection.BinaryCode => Routing.LayerKind.BinaryCode,
        Selection.SlotMixture => Routing.LayerKind.Soft,
        Selection.TwoLevelCapacity => Routing.LayerKind.TwoLevelCapacity,
        _ => Routing.LayerKind.Routed,
    };
}
