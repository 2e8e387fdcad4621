using SparseExperts.Scalar;

namespace SparseExperts;

/// <summary>
/// How far a run of a card's case lies from the double arbiter. <paramref name="Fault"/> names the first element that is further than its card allows;
/// <paramref name="WorstShare"/> is the largest share of a bound that any element takes.
/// </summary>
public sealed record Deviation(string? Fault, double WorstShare)
{
    /// <summary>
    /// Holds every element to its card: some units in the last place, or what sums in any order explain. Where the bound is infinite, float32 may
    /// overflow on the way, and nothing is demanded; ∞ or NaN that no order avoids must be there.
    /// </summary>
    /// <param name="operandError">What the backend may round a product's factors by (<see cref="BackendInfo.ProductOperandError"/>).</param>
    public static Deviation Of(OpResult actual, OpCard card, OpCase @case, double operandError = 0) =>
        Of(actual, card, @case, Bounds(card, @case, operandError));

    /// <summary>The bounds of a case's numbers: what a right float32 computation of it may be off.</summary>
    public static OpResult Bounds(OpCard card, OpCase @case, double operandError = 0)
    {
        var tracked = new ScalarBackend<Tracked> { OperandError = operandError };
        return OpRunner.Run(tracked, card, @case, read: view => [.. tracked.Elements(view).Select(element => element.Error)]);
    }

    /// <summary>The same with bounds that are known already.</summary>
    public static Deviation Of(OpResult actual, OpCard card, OpCase @case, OpResult bounds)
    {
        var arbiter = OpRunner.Run(new ScalarBackend<Float64>(), card, @case);
        var worst = 0.0;
        foreach (var (name, exact) in arbiter.Values)
            for (var i = 0; i < exact.Length; i++)
            {
                double derived = bounds.Values[name][i], seen = actual.Values[name][i];
                if (double.IsNaN(derived)) return new($"{name}[{i}] has no bound where {exact[i]:R} is exact", worst);
                if (!double.IsFinite(derived)) continue;
                if (!double.IsFinite(exact[i]))
                {
                    if (!exact[i].Equals(seen)) return new($"{name}[{i}] is {seen:R}, expected {exact[i]:R}", worst);
                    continue;
                }
                var (bound, why) = card.Exactness switch
                {
                    Ulps ulps when IsAsTheCardSays(@case, name) => (ulps.Count * Ulp(exact[i]), $"{ulps.Count} ulps"),
                    Reduction sum => (derived, $"what a sum over {sum.Over} explains in any order"),
                    _ => (derived, "what rounding explains"),
                };
                var off = Math.Abs(seen - exact[i]);
                if (!(off <= bound)) return new($"{name}[{i}] is {seen:R}, exactly {exact[i]:R}, further than {why}, {bound:E3}", worst);
                if (off > 0) worst = Math.Max(worst, off / bound);
            }
        return new(null, worst);
    }

    /// <summary>Outputs that are written over; what adds to an old value is a sum, whatever the op is, and so are gradients.</summary>
    public static bool IsAsTheCardSays(OpCase @case, string name) =>
        @case.Outputs.Any(o => o.Name == name && !(@case.Accumulate && o.Mode == OutputMode.Flagged));

    /// <summary>The distance of float32's numbers at a magnitude.</summary>
    static double Ulp(double value) => value == 0 ? float.Epsilon : Math.ScaleB(1, Math.Max(Math.ILogB(value), -126) - 23);
}
