namespace SparseExperts.Conformance;

/// <summary>What an op may read and write.</summary>
public static class MemoryLaws
{
    public static Law WritesStayInside { get; } = new("Writes_stay_inside_their_views", (subject, card, @case) =>
        subject.Run(card, @case).Trespasses is { Count: > 0 } found ? $"wrote outside {string.Join("; ", found)}" : null);

    public static Law InputsAreKept { get; } = new("Inputs_are_not_modified", (subject, card, @case) =>
        subject.Run(card, @case).Modified is { Count: > 0 } found ? $"changed {string.Join(", ", found)}" : null);

    public static Law OverwritingIgnores { get; } = new("Overwriting_ignores_what_was_there", (subject, card, @case) =>
    {
        var overwriting = @case with { Accumulate = false };
        return DefinitionLaws.Different(
            OpRunner.Run(subject.Backend, card, overwriting, new(Garbage: 1e30f)), OpRunner.Run(subject.Backend, card, overwriting, new(Garbage: double.NaN)));
    });

    /// <summary>Old value plus what overwriting gives, up to the two running error bounds.</summary>
    public static Law AccumulatingAdds { get; } = new("Accumulating_adds_to_what_was_there", (subject, card, @case) =>
    {
        OpCase other = @case with { Accumulate = !@case.Accumulate }, adding = @case.Accumulate ? @case : other;
        Dictionary<string, double[]> old = @case.Outputs.Where(o => o.Mode == OutputMode.Flagged).ToDictionary(o => o.Name, o => o.Initial);
        if (card.Backward is not null)
            foreach (var input in @case.Inputs.Where(i => i is { Differentiable: true, GradientAdds: false })) old["d" + input.Name] = input.OldGradient;
        if (old.Count == 0) return null;
        OpResult itself = subject.Run(card, @case), ofOther = OpRunner.Run(subject.Backend, card, other);
        OpResult bounds = subject.Bounds(card, @case), boundsOfOther = Deviation.Bounds(card, other, subject.Backend.Info.ProductOperandError);
        var (sum, part) = @case.Accumulate ? (itself, ofOther) : (ofOther, itself);
        foreach (var (name, before) in old)
            for (var i = 0; i < before.Length; i++)
            {
                double expected = before[i] + part.Values[name][i], bound = bounds.Values[name][i] + boundsOfOther.Values[name][i];
                if (double.IsFinite(bound) && double.IsFinite(expected) && !(Math.Abs(sum.Values[name][i] - expected) <= bound))
                    return $"{name}[{i}] is {sum.Values[name][i]:R}, expected {before[i]:R} + {part.Values[name][i]:R}";
            }
        return null;
    });

    public static Law InPlace { get; } = new("May_write_over_the_source_that_the_card_names", (subject, card, @case) =>
    {
        if (card.InPlace is null) return null;
        var overwriting = @case with { Accumulate = false };
        var apart = OpRunner.Run(subject.Backend, card, overwriting, new(Backward: false));
        return DefinitionLaws.Different(apart, OpRunner.Run(subject.Backend, card, overwriting, new(Backward: false, InPlace: true)));
    })
    {
        Concerns = card => card.InPlace is not null,
    };
}
