namespace SparseExperts.Conformance;

/// <summary>Calls that are wrong, and calls with nothing to do.</summary>
public static class CallLaws
{
    /// <summary>Each documented error: one line, op first, what is wrong, what to do. And a matrix of another backend, on every op.</summary>
    public static Law WrongCalls { get; } = new("Wrong_calls_fail_with_the_documented_line", (subject, card, @case) =>
    {
        var backend = subject.Backend;
        foreach (var error in card.Errors)
        {
            var expected = error.Message.Replace("{backend}", backend.Info.Name, StringComparison.Ordinal);
            if (Failure(() => error.Call(backend, subject.Other)) is not { } line) return $"{error.Name}: nothing failed, expected '{expected}'";
            if (line != expected) return $"{error.Name}: '{line}', expected '{expected}'";
            if (line.Contains('\n') || !(line.Contains("; ", StringComparison.Ordinal) || line.EndsWith(')')))
                return $"{error.Name}: '{line}' is not one line with a remedy";
        }
        var elsewhere = card.Rebound(call => card.Forward(backend, call));
        var foreign = Failure(() => OpRunner.Run(subject.Other, elsewhere, @case, new(Backward: false)));
        return foreign is not null && foreign.Contains("belong", StringComparison.Ordinal) ? null : $"a foreign argument gave '{foreign ?? "no failure"}'";
    });

    public static Law EmptyInput { get; } = new("Empty_input_is_fine", (subject, card, _) =>
    {
        foreach (var extent in (Extent[])[new(0, 0, 0), new(0, 5, 3), new(4, 0, 3), new(4, 5, 0)])
        {
            var empty = card.At(new Draw(new Random(3)), extent);
            if (Failure(() => OpRunner.Run(subject.Backend, card, empty)) is { } line) return $"{empty} failed: {line}";
            if (DefinitionLaws.EqualsTheDefinition.Find(subject, card, empty) is { } detail) return $"{empty}: {detail}";
        }
        return null;
    });

    static string? Failure(Action call)
    {
        try
        {
            call();
            return null;
        }
        catch (ShapeException exception)
        {
            return exception.Message;
        }
    }
}
