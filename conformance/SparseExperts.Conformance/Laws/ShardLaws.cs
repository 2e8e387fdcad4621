namespace SparseExperts.Conformance;

/// <summary>What many processes rely on.</summary>
public static class ShardLaws
{
    /// <summary>
    /// A batch in 2, 4 and 8 shards of whole sequences, each computed on a backend of its own and from 0, joined by halves and added once to what was
    /// there: the bits of the whole, for everything that is summed over tokens.
    /// </summary>
    public static Law Shards { get; } = new("Shards_join_to_the_bits_of_the_whole", (subject, card, @case) =>
    {
        if (@case.Sequence == 0 || @case.Tokens == 0) return null;
        var sums = Sums(@case, card.Backward is not null);
        var whole = OpRunner.Run(subject.Backend, card, @case);
        var sequences = (@case.Tokens + @case.Sequence - 1) / @case.Sequence;
        for (var level = 1; level <= 3; level++)
        {
            var runs = TokenTree.Shards(sequences, level);
            OpResult[] parts = [.. runs.Select((run, i) => OpRunner.Run(subject[1 + i % 3], card, Part(@case, run)))];
            foreach (var (name, old) in sums)
            {
                var joined = TokenTree.Join(sequences, [.. runs.Zip(parts, (run, part) => (run, Array.ConvertAll(part.Values[name], v => (float)v)))]);
                for (var i = 0; i < joined.Length; i++)
                {
                    var seen = whole.Values[name][i];
                    double expected = old.Length == 0 ? joined[i] : (float)old[i] + joined[i];
                    // −0 that nothing was added to stays −0.
                    if (!OpRunner.SameBits([expected], [seen]) && !(expected == 0 && old.Length > 0 && OpRunner.SameBits([old[i]], [seen]))) return $"{name}[{i}] is {seen:R} as a whole, {expected:R} from {runs.Count} shards";
                }
            }
        }
        return null;
    });

    /// <summary>Names of the sums over tokens, with what each is added to.</summary>
    static List<(string Name, double[] Old)> Sums(OpCase @case, bool backward)
    {
        List<(string, double[])> sums = [];
        foreach (var output in @case.Outputs.Where(o => o.OverTokens))
            sums.Add((output.Name, output.Mode == OutputMode.Updated || output.Mode == OutputMode.Flagged && @case.Accumulate ? output.Initial : []));
        if (backward)
            foreach (var input in @case.Inputs.Where(i => i.GradientOverTokens))
                sums.Add(("d" + input.Name, input.GradientAdds || @case.Accumulate ? input.OldGradient : []));
        return sums;
    }

    /// <summary>A shard's sequences as a case of their own that starts from 0.</summary>
    static OpCase Part(OpCase @case, (int First, int Count) run)
    {
        var start = run.First * @case.Sequence;
        var part = @case.Slice(start, Math.Min(run.Count * @case.Sequence, @case.Tokens - start));
        return part with
        {
            Accumulate = false,
            Inputs = [.. part.Inputs.Select(i => i.GradientAdds ? i with { OldGradient = new double[i.Count] } : i)],
            Outputs = [.. part.Outputs.Select(o => o.Mode == OutputMode.Updated ? o with { Initial = new double[o.Count] } : o)],
        };
    }
}
