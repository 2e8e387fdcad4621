using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>Changes parameters by their gradients. Its state is named matrices, so that a checkpoint can hold it.</summary>
public abstract class Optimizer(IBackend backend)
{
    protected IBackend Backend { get; } = backend;

    /// <summary>Steps taken; bias corrections and relative step sizes depend on it.</summary>
    public long Steps { get; set; }

    /// <summary>Everything that must survive a restart besides <see cref="Steps"/>, in a fixed order.</summary>
    public abstract IEnumerable<(string Name, Matrix Value)> State { get; }

    /// <summary>
    /// One update of every parameter that has a gradient; gradients are multiplied by the [1, 1] <paramref name="factor"/> first, and where it is not finite
    /// nothing is updated (<see cref="IOptimizers.StepFactor"/>).
    /// </summary>
    public void Step(double rate, Matrix factor)
    {
        Steps++;
        Update(rate, factor);
    }

    protected abstract void Update(double rate, Matrix factor);

    public static Optimizer Create(IBackend backend, ParameterStore parameters, TrainingConfig config) => config.Optimizer switch
    {
        OptimizerKind.AdamW => new AdamW(backend, parameters, config.Beta1, config.Beta2, config.Epsilon, config.WeightDecay),
        OptimizerKind.Adafactor => new Adafactor(backend, parameters, config.Adafactor ?? new(), config.WeightDecay),
        _ => throw new ArgumentOutOfRangeException(nameof(config), config.Optimizer, "unknown optimizer"),
    };
}
