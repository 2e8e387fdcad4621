using SparseExperts.Scalar;

namespace SparseExperts.Conformance;

/// <summary>What the numbers are.</summary>
public static class DefinitionLaws
{
    /// <summary>All bits of a backend that promises them; of any other the outputs of cards that are exact everywhere.</summary>
    public static Law EqualsTheDefinition { get; } = new("Equals_the_scalar_definition_bit_for_bit", (subject, card, @case) =>
    {
        if (!subject.Canonical && card.Exactness is not Bitwise) return null;
        return Different(OpRunner.Run(new ScalarBackend<Float32>(), card, @case), subject.Run(card, @case),
            name => subject.Canonical || Deviation.IsAsTheCardSays(@case, name));
    });

    /// <summary>As close to the double arbiter as the card says.</summary>
    public static Law WithinTheBound { get; } = new("Lies_within_the_derived_bound_of_the_double_arbiter", (subject, card, @case) =>
        Deviation.Of(subject.Run(card, @case), card, @case, subject.Bounds(card, @case)).Fault);

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
}
