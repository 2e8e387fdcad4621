using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2; PyTorch torch.optim.AdamW). The formula is on
/// <see cref="IOptimizers.AdamW"/>; corrections are 1 − β₁ᵗ and 1 − β₂ᵗ.
/// </summary>
public sealed class AdamW(IBackend backend, IReadOnlyList<Parameter> parameters, double beta1, double beta2, double epsilon, double weightDecay) : Optimizer(backend)
{
    readonly (Parameter Parameter, Matrix First, Matrix Second)[] _moments =
        [.. parameters.Select(p => (p, Zeros(backend, p.Rows, p.Columns), Zeros(backend, p.Rows, p.Columns)))];

    public override IEnumerable<(string Name, Matrix Value)> State =>
        _moments.SelectMany(m => new[] { ($"adamw.first.{m.Parameter.Name}", m.First), ($"adamw.second.{m.Parameter.Name}", m.Second) });

    protected override void Update(double rate, double factor)
    {
        double correction1 = 1 - ReproducibleMath.Pow(beta1, Steps), correction2 = 1 - ReproducibleMath.Pow(beta2, Steps);
        var step = new AdamWStep(rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, factor);
        foreach (var (parameter, first, second) in _moments)
            if (parameter.HasGradient) Backend.AdamW(parameter.Value, parameter.Gradient, first, second, step);
    }
}
