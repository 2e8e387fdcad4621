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
            if (Failure(() => Report(error, backend, subject.Other)) is not { } line) return $"{error.Name}: nothing failed, expected '{expected}'";
            if (line != expected) return $"{error.Name}: '{line}', expected '{expected}'";
            if (line.Contains('\n') || !(line.Contains("; ", StringComparison.Ordinal) || line.EndsWith(')')))
                return $"{error.Name}: '{line}' is not one line with a remedy";
        }
        var elsewhere = card.Rebound(call => card.Forward(backend, call));
        var foreign = Failure(() => OpRunner.Run(subject.Other, elsewhere, @case, new(Backward: false)));
        return foreign is not null && foreign.Contains("belong", StringComparison.Ordinal) ? null : $"a foreign argument gave '{foreign ?? "no failure"}'";
    });

    /// <summary>
    /// An index out of its range, first or in the middle: nothing is touched outside of the views, the flag says which it was and is then down, and the
    /// numbers are those of an index that means none. A backend may also refuse the call, with the same line.
    /// </summary>
    public static Law WrongIndices { get; } = new("An_index_out_of_range_means_none_and_is_reported_once", (subject, card, @case) =>
    {
        foreach (var integers in @case.Integers)
            foreach (var (wrong, expected) in integers.Wrong)
            {
                OpResult result;
                try
                {
                    result = OpRunner.Run(subject.Backend, card, @case.With(wrong), new(MayFault: true));
                }
                catch (ShapeException refused) when (refused.Message == expected.Message)
                {
                    continue;
                }
                if (result.Trespasses is { Count: > 0 } found) return $"{expected.Message}: wrote outside {string.Join("; ", found)}";
                if (result.Fault?.Message != expected.Message) return $"the flag says '{result.Fault?.Message ?? "nothing"}', expected '{expected.Message}'";
                if (subject.Backend.TakeFault() is { } left) return $"the flag was taken and still says '{left.Message}'";
                if (expected.Rule.None is not { } none) continue;
                var missing = OpRunner.Run(subject.Backend, card, @case.With(integers.With(expected.Position, none)));
                if (DefinitionLaws.Different(missing, result) is { } detail) return $"{expected.Message}: {detail}";
            }
        return null;
    })
    {
        Concerns = card => card.Sample(new Random(1), 4).Integers.Any(i => i.Rule is not null),
    };

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

    /// <summary>A wrong call, and the point where numbers are read, at which a fault of indices shows at the latest.</summary>
    static void Report(OpError error, IBackend backend, IBackend other)
    {
        error.Call(backend, other);
        backend.CheckFaults();
    }

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
