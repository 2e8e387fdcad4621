using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2; PyTorch torch.optim.AdamW). The formula is on
/// <see cref="IOptimizers.AdamW"/>; corrections are 1 − β₁ᵗ and 1 − β₂ᵗ. All parameters that have a gradient and lie side by side are one op.
/// </summary>
public sealed class AdamW(IBackend backend, ParameterStore parameters, double beta1, double beta2, double epsilon, double weightDecay) : Optimizer(backend)
{
    readonly Storage _first = parameters.Zeros(), _second = parameters.Zeros();

    public override IEnumerable<(string Name, Matrix Value)> State => parameters.SelectMany(p => new[]
    {
        ($"adamw.first.{p.Name}", ParameterStore.View(p, _first)), ($"adamw.second.{p.Name}", ParameterStore.View(p, _second)),
    });

    protected override void Update(double rate, Matrix factor)
    {
        double correction1 = 1 - ReproducibleMath.Pow(beta1, Steps), correction2 = 1 - ReproducibleMath.Pow(beta2, Steps);
        var step = new AdamWStep(rate, beta1, beta2, epsilon, weightDecay, correction1, correction2);
        foreach (var run in parameters.Runs(p => p.HasGradient))
            Backend.AdamW(run.Of(parameters.Values), run.Of(parameters.Gradients), run.Of(_first), run.Of(_second), factor, step);
    }
}
