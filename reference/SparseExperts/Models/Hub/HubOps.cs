using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>Ops as the hub's models put them together, in their format.</summary>
static class HubOps
{
    /// <summary>x·W + b, rounded once.</summary>
    public static Tensor Project(this InFormat rounded, Tensor x, Projected by)
    {
        var y = rounded.Tape.Linear(x, by.Weight);
        return rounded.Round(by.Bias is { } bias ? rounded.Tape.Add(y, rounded.Tape.RepeatRow(bias, y)) : y);
    }

    /// <summary>RMS(x)∘w, rounded as the family does; statistics are float32 always.</summary>
    public static Tensor Norm(this InFormat rounded, Tensor x, Tensor weight, double epsilon, NormRounding when) => when switch
    {
        NormRounding.BeforeWeight => rounded.Norm(x, weight, epsilon),
        NormRounding.Once => rounded.Round(rounded.Tape.RmsNorm(x, weight, epsilon)),
        _ => throw new ConfigurationException($"rounding of norms {when}: unknown"),
    };
}
