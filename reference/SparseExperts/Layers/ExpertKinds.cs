using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>A model's activations as non-linearities of its experts, so that a sparse model and its dense twin compute the same.</summary>
public static class ExpertKinds
{
    /// <summary>Those that have a twin, by their names in configurations.</summary>
    static readonly Dictionary<Activation, ExpertActivation> Twins = new()
    {
        [Activation.Relu] = ExpertActivation.Relu,
        [Activation.GeluErf] = ExpertActivation.GeluErf,
        [Activation.GeluTanh] = ExpertActivation.GeluTanh,
        [Activation.Silu] = ExpertActivation.Silu,
        [Activation.Sigmoid] = ExpertActivation.Sigmoid,
        [Activation.Tanh] = ExpertActivation.Tanh,
        [Activation.Softplus] = ExpertActivation.Softplus,
        [Activation.Identity] = ExpertActivation.Identity,
    };

    /// <summary>Whether a feed-forward layer can have it.</summary>
    public static bool HasTwin(Activation kind) => Twins.ContainsKey(kind);

    /// <summary>What can be a model's activation, for messages.</summary>
    public static string Known => string.Join(", ", Twins.Keys);

    /// <summary>The twin of a model's activation.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is no non-linearity of a feed-forward layer.</exception>
    public static ExpertActivation Of(Activation kind) =>
        Twins.TryGetValue(kind, out var twin) ? twin : throw new ArgumentOutOfRangeException(nameof(kind), kind, $"choose one of {Known}");

    /// <summary>The elementwise function of an expert that is not clamped.</summary>
    public static Activation Function(ExpertActivation kind) =>
        Functions.TryGetValue(kind, out var function) ? function : throw new ArgumentOutOfRangeException(nameof(kind), kind, "not one elementwise function");

    static readonly Dictionary<ExpertActivation, Activation> Functions = Twins.ToDictionary(t => t.Value, t => t.Key);
}
