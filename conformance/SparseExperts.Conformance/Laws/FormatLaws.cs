namespace SparseExperts.Conformance;

/// <summary>Memory in formats other than the backend's reals.</summary>
public static class FormatLaws
{
    static readonly ElementType[] Narrow = [ElementType.BFloat16, ElementType.Float16];

    /// <summary>Every operand in turn is held in a format that the op does not take: it is refused, with op, operand, format and what to do.</summary>
    public static Law Refused { get; } = new("A_format_that_the_op_does_not_take_is_refused", (subject, card, @case) =>
    {
        foreach (var type in Narrow)
        {
            foreach (var input in @case.Inputs)
                if (Accepted(@case with { Inputs = [.. @case.Inputs.Select(i => i == input ? In(type, i) : i)] }, input.Name) is { } detail) return detail;
            foreach (var output in @case.Outputs.Where(o => o.Opaque is null))
                if (Accepted(@case with { Outputs = [.. @case.Outputs.Select(o => o == output ? Out(type, o) : o)] }, output.Name) is { } detail) return detail;

            string? Accepted(OpCase wrong, string name)
            {
                try
                {
                    OpRunner.Run(subject.Backend, card, wrong, new(Backward: false));
                    return $"{name} in {type} was taken";
                }
                catch (ShapeException refused)
                {
                    var line = refused.Message;
                    return line.Contains($"holds {type}", StringComparison.Ordinal) && line.Contains("Cast", StringComparison.Ordinal) && !line.Contains('\n')
                        ? null : $"{name} in {type}: '{line}' does not name the format and the remedy";
                }
            }
        }
        return null;
    })
    {
        Concerns = card => card.Name != "Cast" && card.Name != "Copy",
    };

    /// <summary>To a narrow format and back is the rounding that the definition of <see cref="IPointwise.Round"/> gives, and again changes nothing.</summary>
    public static Law ThereAndBack { get; } = new("To_a_format_and_back_rounds", (subject, _, @case) =>
    {
        var (backend, input) = (subject.Backend, @case.Inputs[0]);
        foreach (var type in Narrow)
        {
            Matrix Real() => backend.Rent(input.Rows, input.Columns);
            Matrix Held() => backend.Rent(input.Rows, input.Columns, type);
            Matrix x = Real(), back = Real(), rounded = Real(), narrow = Held(), again = Held();
            backend.Write(x, (ReadOnlySpan<double>)input.Values);
            backend.Cast(x, narrow);
            backend.Cast(narrow, back);
            backend.Round(type.Format(), x, rounded);
            double[] expected = backend.ToDoubles(rounded), found = backend.ToDoubles(back);
            backend.Cast(back, again);
            var (first, second) = (backend.ToDoubles(narrow), backend.ToDoubles(again));
            foreach (var done in (Matrix[])[x, back, rounded, narrow, again]) backend.Return(done.Storage);
            if (OpRunner.FirstDifference(expected, found) is >= 0 and var at)
                return $"{input.Values[at]:R} to {type} and back is {found[at]:R}, Round gives {expected[at]:R}";
            if (OpRunner.FirstDifference(found, first) is >= 0 and var read) return $"{type} reads as {first[read]:R} and is cast to {found[read]:R}";
            if (OpRunner.FirstDifference(first, second) is >= 0 and var twice)
                return $"{first[twice]:R} of {type} becomes {second[twice]:R} when it is cast once more";
        }
        return null;
    })
    {
        Concerns = card => card.Name == "Cast",
    };

    static OpOutput Out(ElementType type, OpOutput output) => output with { Type = type, Initial = Held(type, output.Initial) };
    static OpInput In(ElementType type, OpInput input) => input with { Type = type, Values = Held(type, input.Values) };
    static double[] Held(ElementType type, double[] values) => Array.ConvertAll(values, x => Rounding.To(type.Format(), x));
}
