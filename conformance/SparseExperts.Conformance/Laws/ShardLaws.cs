namespace SparseExperts.Conformance;

/// <summary>
/// What many processes rely on; only a backend with the canonical bits promises it, for only its sums have the order that shards are cut along.
/// </summary>
public static class ShardLaws
{
    /// <summary>
    /// A batch in 2, 4 and 8 shards of whole sequences, each computed on a backend of its own and from 0, joined by halves and added once to what was
    /// there: the bits of the whole, for everything that is summed over tokens.
    /// </summary>
    public static Law Shards { get; } = new("Shards_join_to_the_bits_of_the_whole", (subject, card, @case) =>
    {
        if (!subject.Canonical || @case.Sequence == 0 || @case.Tokens == 0) return null;
        var sums = Sums(@case, card.Backward is not null);
        var whole = subject.Run(card, @case);
        var sequences = (@case.Tokens + @case.Sequence - 1) / @case.Sequence;
        for (var level = 1; level <= 3; level++)
        {
            var runs = SumTree.Shards(sequences, level);
            OpResult[] parts = [.. runs.Select((run, i) => OpRunner.Run(subject[1 + i % 3], card, Part(@case, run)))];
            foreach (var (name, old) in sums)
            {
                var joined = SumTree.Join(sequences, [.. runs.Zip(parts, (run, part) => (run, Array.ConvertAll(part.Values[name], v => (float)v)))]);
                for (var i = 0; i < joined.Length; i++)
                {
                    var seen = whole.Values[name][i];
                    double expected = old.Length == 0 ? joined[i] : (float)old[i] + joined[i];
                    if (OpRunner.SameBits([expected], [seen])) continue;
                    // −0 that nothing was added to stays −0.
                    if (expected == 0 && old.Length > 0 && OpRunner.SameBits([old[i]], [seen])) continue;
                    return $"{name}[{i}] is {seen:R} as a whole, {expected:R} from {runs.Count} shards";
                }
            }
        }
        return null;
    })
    {
        Concerns = card => card.Edges.Any(edge => edge.Sequence > 0),
    };

    /// <summary>
    /// A product whose k is cut along the halves of its tree, as a hidden width is cut over ranks: the first rank starts from C, the others from 0,
    /// and the halves are added.
    /// </summary>
    public static Law Products { get; } = new("Products_of_a_width_that_is_cut_over_ranks_join_to_the_bits_of_the_whole", (subject, _, @case) =>
    {
        if (!subject.Canonical || @case.Op != "Gemm") return null;
        bool ta = (bool)@case.Parameters["transposeA"], tb = (bool)@case.Parameters["transposeB"];
        OpInput a = @case.Inputs[0], b = @case.Inputs[1];
        int depth = ta ? a.Rows : a.Columns, blocks = (depth + SumTree.ProductBlock - 1) / SumTree.ProductBlock;
        if (blocks < 2) return null;
        var whole = Gemm(0, depth, subject.Backend);
        for (var level = 1; level <= 3; level++)
        {
            var runs = SumTree.Shards(blocks, level);
            var ranks = runs.Select((run, i) =>
            {
                var first = run.First * SumTree.ProductBlock;
                return (run, Gemm(first, Math.Min(depth - first, run.Count * SumTree.ProductBlock), subject[1 + i % 3]));
            });
            var joined = SumTree.Join(blocks, [.. ranks]);
            for (var i = 0; i < whole.Length; i++)
                if (!OpRunner.SameBits([whole[i]], [joined[i]])) return $"c[{i}] is {whole[i]:R} as a whole, {joined[i]:R} from {runs.Count} ranks";
        }
        return null;

        float[] Gemm(int first, int count, IBackend backend)
        {
            Matrix Held(OpInput input)
            {
                var matrix = backend.Rent(input.Rows, input.Columns);
                backend.Write(matrix, (ReadOnlySpan<double>)input.Values);
                return matrix;
            }
            Matrix left = Held(a), right = Held(b), c = backend.Rent(@case.Outputs[0].Rows, @case.Outputs[0].Columns);
            var starts = @case.Accumulate && first == 0;
            if (starts) backend.Write(c, (ReadOnlySpan<double>)@case.Outputs[0].Initial);
            var leftPart = ta ? left.RowRange(first, count) : left.ColumnRange(first, count);
            var rightPart = tb ? right.ColumnRange(first, count) : right.RowRange(first, count);
            backend.Gemm(leftPart, ta, rightPart, tb, c, starts);
            var result = backend.ToArray(c);
            foreach (var matrix in (Matrix[])[left, right, c]) backend.Return(matrix.Storage);
            return result;
        }
    })
    {
        Concerns = card => card.Name.StartsWith("Gemm A", StringComparison.Ordinal),
    };

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
