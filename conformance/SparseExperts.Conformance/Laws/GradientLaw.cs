using SparseExperts.Scalar;

namespace SparseExperts.Conformance;

/// <summary>That the backward op is the derivative of the forward op.</summary>
public static class GradientLaw
{
    /// <summary>Double's rounding over float's, times 16 because the arbiter's erf series is good to that many times its share of ulps.</summary>
    const double DoubleOverFloat = 16.0 / (1 << 29);

    static readonly double Step = Math.Cbrt(Math.ScaleB(1, -52));

    /// <summary>
    /// Backward against central differences D(h), D(h/2) of L = Σ⟨cotangent, output⟩, joined to (4D(h/2) − D(h))/3 after Richardson. The
    /// tolerance is |D(h) − D(h/2)|, which exceeds what the extrapolation leaves of the h² term, plus the rounding of L over h, plus the
    /// rounding of the gradient itself, both from running error analysis.
    /// </summary>
    public static Law Gradients { get; } = new("Gradients_match_central_differences", (subject, card, drawn) =>
    {
        if (card.Backward is null) return null;
        var @case = drawn with { Accumulate = false };
        var backend = subject.Backend;
        var tracked = new ScalarBackend<Tracked>();
        var errors = OpRunner.Run(tracked, card, @case, read: view => [.. tracked.Elements(view).Select(element => element.Error)]);
        var gradients = OpRunner.Run(backend, card, @case);
        var noise = RoundingOf(@case, gradients, errors);
        foreach (var input in @case.Inputs.Where(i => i.Differentiable))
            for (var i = 0; i < input.Count; i++)
            {
                var h = Step * Math.Max(1, Math.Abs(input.Values[i]));
                double coarse = Difference(backend, card, @case, input, i, h), fine = Difference(backend, card, @case, input, i, h / 2);
                var expected = (4 * fine - coarse) / 3;
                var tolerance = Math.Abs(coarse - fine) + 3 * noise / h + errors.Values["d" + input.Name][i] * DoubleOverFloat;
                var gradient = gradients.Values["d" + input.Name][i] - (input.GradientAdds ? input.OldGradient[i] : 0);
                if (!(Math.Abs(gradient - expected) <= tolerance)) return $"d{input.Name}[{i}] is {gradient:R}, differences give {expected:R} ± {tolerance:E2}";
            }
        return null;
    })
    {
        Concerns = card => card.Backward is not null,
    };

    static double Difference(IBackend backend, OpCard card, OpCase @case, OpInput input, int index, double h)
    {
        double right = input.Values[index] + h, left = input.Values[index] - h;
        return (Loss(backend, card, Moved(@case, input, index, right)) - Loss(backend, card, Moved(@case, input, index, left))) / (right - left);
    }

    static OpCase Moved(OpCase @case, OpInput input, int index, double value)
    {
        var values = (double[])input.Values.Clone();
        values[index] = value;
        return @case with { Inputs = [.. @case.Inputs.Select(i => i.Name == input.Name ? i with { Values = values } : i)] };
    }

    static double Loss(IBackend backend, OpCard card, OpCase @case)
    {
        var outputs = OpRunner.Run(backend, card, @case, new(Backward: false)).Values;
        return @case.Outputs.Where(o => !o.Saved).Sum(o => o.Cotangent.Zip(outputs[o.Name], (cotangent, y) => cotangent * y).Sum());
    }

    /// <summary>What double arithmetic may add to L: the outputs' own errors and those of the sum.</summary>
    static double RoundingOf(OpCase @case, OpResult values, OpResult errors)
    {
        var total = 0.0;
        foreach (var output in @case.Outputs.Where(o => !o.Saved))
            for (var i = 0; i < output.Count; i++)
            {
                double own = errors.Values[output.Name][i] * DoubleOverFloat, sum = Math.ScaleB(output.Count, -53) * Math.Abs(values.Values[output.Name][i]);
                total += Math.Abs(output.Cotangent[i]) * (own + sum);
            }
        return total;
    }
}
