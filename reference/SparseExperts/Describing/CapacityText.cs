using System.Globalization;
using SparseExperts.Routing;

namespace SparseExperts.Describing;

/// <summary>The capacity arithmetic of a dialect in words, with a number to check it by.</summary>
public static class CapacityText
{
    /// <summary>Tokens and experts of the number: S·cf/E is 18.75 for a factor of 1, so that rounding shows.</summary>
    const int Tokens = 150, Experts = 8;

    /// <summary>One sentence.</summary>
    public static string Of(Dialect d)
    {
        if (d.CapacityFormula is CapacityFormula.None or CapacityFormula.UnlessZero) return $"{Meaning("capacity_formula", d)}.";
        List<string> parts = [$"C = {Meaning("capacity_formula", d)}, rounded {Rounding(d)}"];
        if (d.Capacity is { } given) parts.Add($"by default {given.ToString(CultureInfo.InvariantCulture)} slots, whatever the formula says");
        var twin = d.EvalCapacityFactor is { } eval && eval != d.CapacityFactor ? $" in training and {Number(eval)} in evaluation" : "";
        if (d.Parameters.Contains("capacity_factor")) parts.Add($"cf = {Number(d.CapacityFactor)}{twin}");
        if (d.CapacityFraction is { } share and > 0) parts.Add($"in evaluation ⌈{Number(share)}·S⌉ instead");
        if (d.CapacityLimit != CapacityLimit.None) parts.Add($"limit: {Meaning("capacity_limit", d)}");
        if (d.MinCapacity > 0) parts.Add($"at least {d.MinCapacity.ToString(CultureInfo.InvariantCulture)}");
        if (d.CapacityMultiple is > 1 and var multiple) parts.Add($"then up to a multiple of {multiple.ToString(CultureInfo.InvariantCulture)}");
        if (d.DropPolicy == DropPolicy.None) parts.Add("nobody is dropped: C is the largest load");
        return $"{string.Join("; ", parts)}.{Example(d)}";
    }

    /// <summary>What it gives in training and evaluation, where loads do not decide.</summary>
    static string Example(Dialect d)
    {
        var looksAtLoads = d.DropPolicy == DropPolicy.None
            || d.CapacityFormula is CapacityFormula.LargestLoad or CapacityFormula.EqualShare or CapacityFormula.LingvoShuffle
            || d.CapacityFormula == CapacityFormula.ChoicesTimesWholeShare && d.CapacityFactor <= 0 || d.CapacityFormula == CapacityFormula.Given
                && d.Capacity is null;
        if (looksAtLoads || d.Selection == Selection.Batchwise) return "";
        string Slots(bool training)
        {
            var call = new RouterCall { Dialect = d, Groups = 1, Size = Tokens, Experts = Experts, Training = training };
            var slots = CapacityRule.Reported(call, []);
            return slots == RoutingPlan.Unlimited ? "no limit" : slots.ToString(CultureInfo.InvariantCulture);
        }
        var (training, evaluation) = (Slots(true), Slots(false));
        var both = training == evaluation ? training : $"{training} in training, {evaluation} in evaluation";
        return $" For S = {Tokens}, E = {Experts}, k = {d.K}: {both}.";
    }

    static string Rounding(Dialect d) => d.CapacityRounding switch
    {
        CapacityRounding.Truncate => "towards zero",
        CapacityRounding.Round => "to nearest, half to even",
        CapacityRounding.Ceiling => "up",
        _ => throw new ArgumentOutOfRangeException(nameof(d), d.CapacityRounding, "unknown capacity rounding"),
    };

    static string Meaning(string axis, Dialect d)
    {
        var its = DialectAxis.Find(axis)!;
        return its.Values.First(v => v.Name == its.Format(d)).Text;
    }

    static string Number(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);
}
