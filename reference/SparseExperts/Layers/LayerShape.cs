using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What a sparse layer's parameters depend on, whatever model it stands in.</summary>
/// <param name="Experts">Experts of the layer, those that pass a token on unchanged included.</param>
public sealed record LayerShape(Dialect Dialect, int Width, int Hidden, int Experts)
{
    /// <summary>Ids and tasks that there are, for routers that go by them.</summary>
    public int Vocabulary { get; init; } = 1;
    public int Tasks { get; init; } = 1;

    /// <summary>Slots of an expert, where slots are mixtures with parameters of their own.</summary>
    public int SlotsPerExpert { get; init; } = 1;

    /// <summary>Experts that have weights.</summary>
    public int ExpertsWithWeights => Experts - Dialect.IdentityExperts;
}
