using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Outputs of experts whose activations an engine rounds to eight bits on the way: their inputs, or these and what stands before the second matrix. Weights
/// are what the file holds.
/// </summary>
static class QuantizedExperts
{
    /// <param name="Largest">The largest number of the format, onto which the largest of a scale's numbers falls.</param>
    /// <param name="Round">A number over its scale, rounded to the format; and half the distance of the format's numbers there.</param>
    sealed record EightBits(string Name, double Largest, Func<double, (double Value, double HalfStep)> Round);

    /// <summary>One scale for each row, or one for all.</summary>
    sealed record Scope(string Name, bool IsOfRow);

    static readonly EightBits[] Formats =
    [
        new("int8", 127, v => (Math.Clamp(Math.Round(v, MidpointRounding.ToEven), -128, 127), 0.5)),
        new("fp8 (e4m3)", 448, E4M3),
    ];

    static readonly Scope[] Scopes = [new("one scale a token", true), new("one scale for the whole call", false)];

    /// <summary>Four significant bits, down to 2⁻⁹.</summary>
    static (double, double) E4M3(double v)
    {
        var exponent = v == 0 ? -6 : Math.Max(-6, Math.ILogB(v));
        var step = Math.ScaleB(1, exponent - 3);
        return (Math.Clamp(Math.Round(v / step, MidpointRounding.ToEven) * step, -448, 448), step / 2);
    }

    public static FoundCauses Find(Case held, Departure of, Func<IBackend> backend)
    {
        if (held.Has("shared.wi") || !held.Has("experts.wi") || held.Dialect.LayerKind() != LayerKind.Routed) return FoundCauses.None;
        return Stage.On(held, backend, call =>
        {
            var tensors = new CaseTensors(held, call.Tape, call.Call);
            if (tensors.Experts is not { } experts) return FoundCauses.None;
            var x = tensors.ExpertsX ?? RoutedLayer.ExpertInput(call.Call, tensors.X, call.Routed.Scored.Input);
            IEnumerable<FaultyNumbers> Faults()
            {
                foreach (var format in Formats)
                    foreach (var scope in Scopes)
                        foreach (var both in (bool[])[true, false])
                            yield return new(Named(format, scope, both), () => Stage.Numbers(call, Output(call, x, experts, format, scope, both)));
            }
            return FoundCauses.Among(of, Faults());
        });
    }

    static Cause Named(EightBits format, Scope scope, bool both)
    {
        var what = both ? "the experts' inputs and what stands before their second matrix" : "the experts' inputs";
        return new("experts' activations", $"{format.Name}, {scope.Name}", $"{what} were rounded to {format.Name}, with {scope.Name}");
    }

    static Tensor Output(ClaimedCall c, Tensor x, ExpertWeights experts, EightBits format, Scope scope, bool both)
    {
        Tensor Rounded(Tensor tensor) => Quantized(c, tensor, format, scope);
        var (gates, plan) = c.Routed.Effective;
        return Experts.Apply(c.Tape, c.Call, Rounded(x), experts, gates, plan, hidden: both ? Rounded : null);
    }

    /// <summary>
    /// A tensor's numbers over their scale, rounded, times the scale. A number that its own error may take over the middle of two is either of them.
    /// </summary>
    static Tensor Quantized(ClaimedCall c, Tensor tensor, EightBits format, Scope scope)
    {
        var numbers = c.Read(tensor);
        double[] values = new double[numbers.Values.Length], errors = new double[values.Length];
        var length = scope.IsOfRow ? tensor.Columns : values.Length;
        for (var start = 0; start < values.Length; start += length)
        {
            var row = numbers.Values.AsSpan(start, length);
            var (largest, error) = (0.0, 0.0);
            for (var i = 0; i < length; i++)
                if (Math.Abs(row[i]) > largest) (largest, error) = (Math.Abs(row[i]), numbers.Errors[start + i]);
            if (largest == 0) continue;
            // The scale is a float32 quotient; so is each number over it.
            var (scale, relative) = (largest / format.Largest, error / largest + 4 * Rounding.HalfUnit(NumberFormat.Float32, 1));
            for (var i = 0; i < length; i++)
            {
                var (quotient, at) = (row[i] / scale, start + i);
                var (rounded, half) = format.Round(quotient);
                var room = numbers.Errors[at] / scale + Math.Abs(quotient) * relative;
                var isOpen = half - Math.Abs(quotient - rounded) <= room && Math.Abs(rounded) < format.Largest;
                (values[at], errors[at]) = (rounded * scale, Math.Abs(rounded) * scale * relative + (isOpen ? 2 * half * scale : 0));
            }
        }
        var matrix = c.Tape.Rent(tensor.Rows, tensor.Columns);
        ((IErrorBounds)c.Tape.Backend).WriteErrors(matrix, values, errors);
        return c.Tape.Constant(matrix);
    }
}
