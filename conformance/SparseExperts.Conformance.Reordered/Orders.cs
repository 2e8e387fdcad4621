namespace SparseExperts.Conformance.Reordered;

/// <summary>Orders in which a sum can be taken.</summary>
public static class Orders
{
    /// <summary>SUM_SEED=n turns to other orders.</summary>
    static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("SUM_SEED"), out var seed) ? Math.Abs(seed % 1000) : 0;

    static readonly SumOrder[] Each = [InTwoLanes, InEightLanes, Pairwise, Backwards, InFourParts, WithoutFusing, InDrawnPairs];

    public static IReadOnlyList<SumOrder> All => Each;

    /// <summary>Two running sums, of even and of odd terms.</summary>
    public static float InTwoLanes(ReadOnlySpan<Term> terms) => Lanes(terms, 2);

    /// <summary>Eight running sums, as a vector unit has them.</summary>
    public static float InEightLanes(ReadOnlySpan<Term> terms) => Lanes(terms, 8);

    /// <summary>Each half by itself, down to single terms.</summary>
    public static float Pairwise(ReadOnlySpan<Term> terms) => terms.Length switch
    {
        0 => 0,
        1 => terms[0].Rounded,
        _ => Pairwise(terms[..(terms.Length / 2)]) + Pairwise(terms[(terms.Length / 2)..]),
    };

    /// <summary>From the last term to the first.</summary>
    public static float Backwards(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var sum = terms[^1].Rounded;
        for (var i = terms.Length - 2; i >= 0; i--) sum = terms[i].AddedTo(sum);
        return sum;
    }

    /// <summary>Four parts one after the other, then their sums: a product that is split along k.</summary>
    public static float InFourParts(ReadOnlySpan<Term> terms)
    {
        if (terms.Length < 4) return Chain(terms);
        var sum = 0f;
        for (var part = 0; part < 4; part++) sum += Chain(terms[(terms.Length * part / 4)..(terms.Length * (part + 1) / 4)]);
        return sum;
    }

    /// <summary>The definition's order, but every product is rounded before it is added.</summary>
    public static float WithoutFusing(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var sum = terms[0].Rounded;
        foreach (var term in terms[1..]) sum += term.Rounded;
        return sum;
    }

    /// <summary>A drawn pair of what is left is added, until one number is left.</summary>
    public static float InDrawnPairs(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var state = (uint)(Seed * 65537 + terms.Length);
        int Drawn(int below) => (int)((ulong)(state = state * 1664525 + 1013904223) * (uint)below >> 32);
        var left = new float[terms.Length];
        for (var i = 0; i < left.Length; i++) left[i] = terms[i].Rounded;
        for (var count = left.Length; count > 1; count--)
        {
            var taken = Drawn(count);
            (left[taken], left[count - 1]) = (left[count - 1], left[taken]);
            left[Drawn(count - 1)] += left[count - 1];
        }
        return left[0];
    }

    /// <summary>All orders by turns, by the number of terms and a seed.</summary>
    public static float ByTurns(ReadOnlySpan<Term> terms) => Each[(terms.Length + Seed) % Each.Length](terms);

    /// <summary>One after the other, each with a fused multiply-add.</summary>
    static float Chain(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var sum = terms[0].Rounded;
        foreach (var term in terms[1..]) sum = term.AddedTo(sum);
        return sum;
    }

    static float Lanes(ReadOnlySpan<Term> terms, int count)
    {
        var sum = 0f;
        for (var lane = 0; lane < Math.Min(count, terms.Length); lane++)
        {
            var own = terms[lane].Rounded;
            for (var i = lane + count; i < terms.Length; i += count) own = terms[i].AddedTo(own);
            sum = lane == 0 ? own : sum + own;
        }
        return sum;
    }
}
