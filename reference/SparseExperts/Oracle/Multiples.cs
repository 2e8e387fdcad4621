using System.Globalization;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Everything is one number times what it should be: the commonest fault of losses, gradients and scaled outputs.</summary>
public static class Multiples
{
    /// <summary>The factor that all claims have, where it has a name or is the same in many numbers.</summary>
    /// <param name="stage">Whose numbers they are.</param>
    /// <param name="experts">How many there are, by which sums and means are confused.</param>
    public static Cause? Find(string stage, Departure of, Dialect d, int experts)
    {
        double square = 0, product = 0;
        for (var i = 0; i < of.Expected.Length; i++)
        {
            if (!double.IsFinite(of.Expected[i]) || !double.IsFinite(of.Claimed[i])) return null;
            square += of.Expected[i] * of.Expected[i];
            product += of.Expected[i] * of.Claimed[i];
        }
        if (square == 0) return null;
        var words = Words(stage);
        var isScaled = stage is not ("logits" or "scores");
        foreach (var (factor, why) in Named(d, experts))
            if (factor != 1 && of.AreTimes(factor))
                return new(stage, $"times {Text(factor)}", $"{words} {Text(factor)} times what {Should(stage)}{(isScaled ? why : "")}") { Axis = Axis(stage) };
        // Any two numbers have a ratio: many must have the same.
        var ratio = product / square;
        var telling = of.Expected.Where((e, i) => Math.Abs(e) > 8 * of.Bounds[i]).Take(4).Count() == 4;
        if (!telling || Math.Abs(ratio - 1) < 1e-6 || !of.AreTimes(ratio)) return null;
        return new(stage, $"times {Text(ratio)}", $"{words} {Text(ratio)} times what {Should(stage)} everywhere") { Axis = Axis(stage) };
    }

    /// <summary>The axis that is a factor of the stage.</summary>
    static string? Axis(string stage) => stage switch
    {
        "gate" or "combine" => "scaling_factor",
        "y" => "output_scaling_factor",
        "logits" => "logits_scale",
        _ => null,
    };

    static IEnumerable<(double Factor, string Why)> Named(Dialect d, int experts)
    {
        var scale = d.ScalingFactor;
        if (scale != 1) yield return (1 / scale, ": scaling_factor is not applied");
        if (scale != 1) yield return (scale, ": scaling_factor is applied twice");
        if (d.OutputScalingFactor != 1) yield return (1 / d.OutputScalingFactor, ": output_scaling_factor is not applied");
        if (d.OutputScalingFactor != 1) yield return (d.OutputScalingFactor, ": output_scaling_factor is applied twice");
        yield return (0, ": nothing arrives");
        yield return (-1, ": the sign is turned");
        if (d.K > 1) yield return (d.K, ", the number of choices a token");
        if (d.K > 1) yield return (1.0 / d.K, ", one over the number of choices a token");
        foreach (var factor in (double[])[2, 0.5, 3, 4, 0.25, 8, 0.125, 16, 32, 64]) yield return (factor, "");
        if (experts > 1) yield return (experts, ", the number of experts");
        if (experts > 1) yield return (1.0 / experts, ", one over the number of experts");
    }

    static string Words(string stage) => stage switch
    {
        "y" => "y is",
        "gate" or "combine" => "the gates are",
        "logits" => "all logits are",
        "scores" => "all scores are",
        _ when stage.StartsWith("grad.experts", StringComparison.Ordinal) => "the gradients of the experts are",
        _ when stage.StartsWith("grad.", StringComparison.Ordinal) => $"the gradient of {stage[5..]} is",
        _ when stage.StartsWith("loss.", StringComparison.Ordinal) => $"the loss {stage[5..]} is",
        "correction_bias" => "the bias is",
        _ => $"{stage} is",
    };

    static string Should(string stage) => Words(stage).EndsWith(" are", StringComparison.Ordinal) ? "they should be" : "it should be";

    /// <summary>A factor as sentences have it.</summary>
    public static string Text(double value) => value.ToString(value == Math.Round(value) ? "0" : "G4", CultureInfo.InvariantCulture);
}
