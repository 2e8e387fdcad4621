using SparseExperts.Autograd;

namespace SparseExperts.Routing;

/// <summary>The trained numbers of a router. M width, E experts; what a dialect does not have is null.</summary>
public sealed record RouterWeights
{
    /// <summary>[M, E]; logits = x·W.</summary>
    public Tensor? Weight { get; init; }

    /// <summary>[1, E].</summary>
    public Tensor? Bias { get; init; }

    /// <summary>[M, E], the logarithm-like deviation of the noise.</summary>
    public Tensor? NoiseWeight { get; init; }

    /// <summary>Two levels: [M, groups] and [M, E], the experts of a group side by side.</summary>
    public Tensor? PrimaryWeight { get; init; }
    public Tensor? PrimaryNoiseWeight { get; init; }
    public Tensor? SecondaryWeight { get; init; }
    public Tensor? SecondaryNoiseWeight { get; init; }

    /// <summary>Soft MoE: slot parameters [M, E·P] and their scale 1×1.</summary>
    public Tensor? Slots { get; init; }
    public Tensor? Scale { get; init; }

    /// <summary>Cosine router: projection [M, P], embeddings of the experts [P, E], logarithm of the temperature 1×1.</summary>
    public Tensor? Projection { get; init; }
    public Tensor? Embeddings { get; init; }
    public Tensor? Temperature { get; init; }

    /// <summary>What a token's id adds to the logits [V, E], or a task's logits [tasks, E].</summary>
    public Tensor? Table { get; init; }

    /// <summary>Binary codes: [M, k·bits] or [1, k·bits], and the weights of the k selectors [M, k] or [1, k].</summary>
    public Tensor? Codes { get; init; }
    public Tensor? CodeWeights { get; init; }

    /// <summary>Thresholds of the experts [1, E].</summary>
    public Tensor? Thresholds { get; init; }

    /// <summary>Bias for selection alone [E]: a state of the router, not trained by gradients.</summary>
    public double[] CorrectionBias { get; init; } = [];

    /// <summary>The same [1, E] where the backend plans.</summary>
    public Matrix? BiasOnBackend { get; init; }
}
