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
        Term[] reversed = [.. terms];
        Array.Reverse(reversed);
        return Chain(reversed);
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
        var random = new Random(Seed * 65537 + terms.Length);
        List<float> left = [];
        foreach (var term in terms) left.Add(term.Rounded);
        while (left.Count > 1)
        {
            var taken = random.Next(left.Count);
            var number = left[taken];
            left.RemoveAt(taken);
            left[random.Next(left.Count)] += number;
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
        foreach (var term in terms[1..]) sum = MathF.FusedMultiplyAdd(term.A, term.B, sum);
        return sum;
    }

    static float Lanes(ReadOnlySpan<Term> terms, int count)
    {
        var sum = 0f;
        for (var lane = 0; lane < Math.Min(count, terms.Length); lane++)
        {
            List<Term> own = [];
            for (var i = lane; i < terms.Length; i += count) own.Add(terms[i]);
            sum = lane == 0 ? Chain(own.ToArray()) : sum + Chain(own.ToArray());
        }
        return sum;
    }
}
