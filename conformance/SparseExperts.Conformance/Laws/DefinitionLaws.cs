using SparseExperts.Scalar;

namespace SparseExperts.Conformance;

/// <summary>What the numbers are.</summary>
public static class DefinitionLaws
{
    public static Law EqualsTheDefinition { get; } = new("Equals_the_scalar_definition_bit_for_bit", (subject, card, @case) =>
    {
        if (!subject.Canonical && card.Exactness is not Bitwise) return Beyond(subject.Backend, card, @case);
        return Different(OpRunner.Run(new ScalarBackend<Float32>(), card, @case), OpRunner.Run(subject.Backend, card, @case));
    });

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

    /// <summary>The first element whose bits differ.</summary>
    internal static string? Different(OpResult expected, OpResult actual)
    {
        foreach (var (name, values) in expected.Values)
        {
            var at = OpRunner.FirstDifference(values, actual.Values[name]);
            if (at >= 0) return $"{name}[{at}] is {actual.Values[name][at]:R}, expected {values[at]:R}";
        }
        return null;
    }

    /// <summary>
    /// The first element further from the double arbiter than its own running error bound. Where the bound is infinite (float32
    /// overflows on the way) only a special value that both definitions agree on is demanded.
    /// </summary>
    static string? Beyond(IBackend backend, OpCard card, OpCase @case)
    {
        var tracked = new ScalarBackend<Tracked>();
        var arbiter = OpRunner.Run(new ScalarBackend<Float64>(), card, @case);
        var bounds = OpRunner.Run(tracked, card, @case, read: view => [.. tracked.Elements(view).Select(element => element.Error)]);
        var canonical = OpRunner.Run(new ScalarBackend<Float32>(), card, @case);
        var actual = OpRunner.Run(backend, card, @case);
        foreach (var (name, exact) in arbiter.Values)
            for (var i = 0; i < exact.Length; i++)
            {
                double bound = bounds.Values[name][i], seen = actual.Values[name][i], special = canonical.Values[name][i];
                if (!double.IsFinite(bound) || !double.IsFinite(exact[i]))
                {
                    var agreed = !double.IsFinite(exact[i]) && exact[i].Equals(special);
                    if (agreed && !exact[i].Equals(seen)) return $"{name}[{i}] is {seen:R}, expected {exact[i]:R}";
                }
                else if (!(Math.Abs(seen - exact[i]) <= bound)) return $"{name}[{i}] is {seen:R}, exactly {exact[i]:R}, further than the bound {bound:E3}";
            }
        return null;
    }
}
