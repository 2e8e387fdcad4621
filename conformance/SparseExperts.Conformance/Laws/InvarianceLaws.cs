namespace SparseExperts.Conformance;

/// <summary>What a result does not depend on.</summary>
public static class InvarianceLaws
{
    public static Law Threads { get; } = new("Threads_do_not_change_the_bits", (subject, card, @case) =>
    {
        var one = OpRunner.Run(subject[1], card, @case);
        foreach (var threads in (int[])[2, 3])
            if (DefinitionLaws.Different(one, OpRunner.Run(subject[threads], card, @case)) is { } detail)
                return $"with {threads} threads {detail} of one thread";
        return null;
    });

    /// <summary>The first item, the last item, and all but the first, each run alone.</summary>
    public static Law Batch { get; } = new("A_row_does_not_depend_on_its_batch", (subject, card, @case) =>
    {
        if (@case.Items < 2) return null;
        var whole = subject.Run(card, @case);
        foreach (var (start, count) in ((int, int)[])[(0, 1), (@case.Items - 1, 1), (1, @case.Items - 1)])
        {
            var part = OpRunner.Run(subject.Backend, card, @case.Slice(start, count));
            var rows = @case.Outputs.Where(o => o.Batch > 0).Select(o => (o.Name, Item: o.Batch * o.Columns))
                .Concat(@case.Inputs.Where(i => i.Batch > 0 && part.Values.ContainsKey("d" + i.Name))
                    .Select(i => (Name: "d" + i.Name, Item: i.Batch * i.Columns)));
            foreach (var (name, item) in rows)
            {
                var expected = whole.Values[name].AsSpan(start * item, count * item);
                var at = OpRunner.FirstDifference(expected, part.Values[name]);
                if (at >= 0) return $"{name}[{start * item + at}] is {expected[at]:R} in a batch of {@case.Items}, {part.Values[name][at]:R} in one of {count}";
            }
        }
        return null;
    });
}
