using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>What a sparse layer's parameters depend on, whatever model it stands in.</summary>
/// <param name="Experts">Experts of the layer, those that pass a token on unchanged, or that are none, included.</param>
public sealed record LayerShape(Dialect Dialect, int Width, int Hidden, int Experts)
{
    /// <summary>Shared experts of a dialect in which they take part in the gates.</summary>
    public const int SharedExpertsInGates = 2;

    /// <summary>Whether a router hands a state to this one: not so in the first sparse layer.</summary>
    public bool FollowsRouter { get; init; }

    /// <summary>Whether experts have a gate projection because the model's feed-forward layers have one, whatever the dialect's activation is.</summary>
    public bool Gated { get; init; }

    /// <summary>Ids and tasks that there are, for routers that go by them.</summary>
    public int Vocabulary { get; init; } = 1;
    public int Tasks { get; init; } = 1;

    /// <summary>Whether experts have biases.</summary>
    public bool Biases { get; init; }

    /// <summary>Width of the shared expert's hidden layer; that of the experts' where it is 0.</summary>
    public int SharedHidden { get; init; }

    /// <summary>Slots of an expert, where slots are mixtures with parameters of their own.</summary>
    public int SlotsPerExpert { get; init; } = 1;

    /// <summary>Experts that have weights.</summary>
    public int ExpertsWithWeights => Experts - Dialect.IdentityExperts - Dialect.NullExperts;

    /// <summary>Width of the routed experts: the model's, or half of it between projections of their own.</summary>
    public int ExpertWidth => Dialect.LatentExperts ? Math.Max(1, Width / 2) : Width;
}
