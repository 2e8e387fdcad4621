using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>What an MLP router has before its last matrix; R its width.</summary>
/// <param name="Down">[M, R].</param>
/// <param name="DownBias">[1, R].</param>
/// <param name="PreviousScale">Factor on the state of the router before [1, R], or null in the first layer.</param>
/// <param name="Norm">[1, R].</param>
/// <param name="W1">[R, R], as W2.</param>
/// <param name="B1">[1, R], as B2.</param>
public sealed record MlpRouterWeights(Tensor? Down, Tensor? DownBias, Tensor? PreviousScale, Tensor Norm, Tensor W1, Tensor B1, Tensor W2, Tensor B2);

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

    /// <summary>Weights of the norm that the router alone reads through [1, M].</summary>
    public Tensor? Norm { get; init; }

    /// <summary>A factor on the gates of every expert [1, E], and one on all gates 1×1.</summary>
    public Tensor? ExpertScale { get; init; }
    public Tensor? GlobalScale { get; init; }

    /// <summary>Rows of the router for N shared experts [M, N].</summary>
    public Tensor? SharedWeight { get; init; }

    /// <summary>Product keys [M, 2K].</summary>
    public Tensor? Keys { get; init; }

    /// <summary>
    /// A router that is an MLP of width R: its first projection [M, R] and bias, the factor [1, R] of the state before, norm [1, R], hidden layers.
    /// </summary>
    public MlpRouterWeights? Mlp { get; init; }

    /// <summary>What the router of the layer before handed on [T, R], or null in the first.</summary>
    public Tensor? Previous { get; init; }

    /// <summary>Thresholds of the experts [1, E].</summary>
    public Tensor? Thresholds { get; init; }

    /// <summary>Bias for selection alone [E]: a state of the router, not trained by gradients.</summary>
    public double[] CorrectionBias { get; init; } = [];

    /// <summary>The same where the backend has it [1, E]; it is read where the host plans.</summary>
    public Matrix? BiasOnBackend { get; init; }

    /// <summary>The bias of images [E], and where the backend has it [1, E].</summary>
    public double[] ImageBias { get; init; } = [];
    public Matrix? ImageBiasOnBackend { get; init; }

    internal RouterWeights WithBiasOnHost(Tape tape)
    {
        if (BiasOnBackend is not { } bias || CorrectionBias.Length > 0) return this;
        double[] Read(Matrix matrix)
        {
            var values = new double[matrix.Columns];
            tape.ReadForPlan(matrix, values);
            return values;
        }
        return this with { CorrectionBias = Read(bias), ImageBias = ImageBiasOnBackend is { } ofImages ? Read(ofImages) : [] };
    }
}
