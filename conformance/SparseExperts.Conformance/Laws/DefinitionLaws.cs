using SparseExperts.Scalar;

namespace SparseExperts.Conformance;

/// <summary>What the numbers are.</summary>
public static class DefinitionLaws
{
    /// <summary>All bits of a backend that promises them; of any other the outputs of cards that are exact everywhere.</summary>
    public static Law EqualsTheDefinition { get; } = new("Equals_the_scalar_definition_bit_for_bit", (subject, card, @case) =>
    {
        if (!subject.Canonical && card.Exactness is not Bitwise) return null;
        return Different(OpRunner.Run(new ScalarBackend<Float32>(), card, @case), OpRunner.Run(subject.Backend, card, @case),
            name => subject.Canonical || IsAsTheCardSays(@case, name));
    });

    /// <summary>As close to the double arbiter as the card says.</summary>
    public static Law WithinTheBound { get; } = new("Lies_within_the_derived_bound_of_the_double_arbiter", (subject, card, @case) =>
        Beyond(subject.Backend, card, @case));

    public static Law AtAKink { get; } = new("Gives_the_documented_slope_at_a_kink", (subject, card, _) =>
    {
        foreach (var kink in card.Kinks)
        {
            var slope = OpRunner.Run(subject.Backend, card, kink.Case).Values[kink.Gradient];
            if (!slope.SequenceEqual(kink.Expected)) return $"{kink.Gradient} is {string.Join(' ', slope)}, documented {string.Join(' ', kink.Expected)}";
        }
        return null;
    });

    /// <summary>Outputs that are written over; what adds to an old value is a sum, whatever the op is, and so are gradients.</summary>
    static bool IsAsTheCardSays(OpCase @case, string name) => @case.Outputs.Any(o => o.Name == name && !(@case.Accumulate && o.Mode == OutputMode.Flagged));

    /// <summary>The first element whose bits differ.</summary>
    internal static string? Different(OpResult expected, OpResult actual, Func<string, bool>? compared = null)
    {
        foreach (var (name, values) in expected.Values)
        {
            if (compared?.Invoke(name) == false) continue;
            var at = OpRunner.FirstDifference(values, actual.Values[name]);
            if (at >= 0) return $"{name}[{at}] is {actual.Values[name][at]:R}, expected {values[at]:R}";
        }
        return null;
    }

    /// <summary>
    /// The first element further from the double arbiter than its card allows: some units in the last place, or what sums in any order explain. Where
    /// the bound is infinite, float32 may overflow on the way, and nothing is demanded; ∞ or NaN that no order avoids must be there.
    /// </summary>
    static string? Beyond(IBackend backend, OpCard card, OpCase @case)
    {
        var tracked = new ScalarBackend<Tracked>();
        var arbiter = OpRunner.Run(new ScalarBackend<Float64>(), card, @case);
        var bounds = OpRunner.Run(tracked, card, @case, read: view => [.. tracked.Elements(view).Select(element => element.Error)]);
        var actual = OpRunner.Run(backend, card, @case);
        foreach (var (name, exact) in arbiter.Values)
            for (var i = 0; i < exact.Length; i++)
            {
                double derived = bounds.Values[name][i], seen = actual.Values[name][i];
                if (double.IsNaN(derived)) return $"{name}[{i}] has no bound where {exact[i]:R} is exact";
                if (!double.IsFinite(derived)) continue;
                if (!double.IsFinite(exact[i]))
                {
                    if (!exact[i].Equals(seen)) return $"{name}[{i}] is {seen:R}, expected {exact[i]:R}";
                    continue;
                }
                var (bound, why) = card.Exactness switch
                {
                    Ulps ulps when IsAsTheCardSays(@case, name) => (ulps.Count * Ulp(exact[i]), $"{ulps.Count} ulps"),
                    Reduction sum => (derived, $"what a sum over {sum.Over} explains in any order"),
                    _ => (derived, "what rounding explains"),
                };
                if (!(Math.Abs(seen - exact[i]) <= bound)) return $"{name}[{i}] is {seen:R}, exactly {exact[i]:R}, further than {why}, {bound:E3}";
            }
        return null;
    }

    /// <summary>The distance of float32's numbers at a magnitude.</summary>
    static double Ulp(double value) => value == 0 ? float.Epsilon : Math.ScaleB(1, Math.Max(Math.ILogB(value), -126) - 23);
}
