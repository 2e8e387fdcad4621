namespace SparseExperts.Conformance.Reordered;

/// <summary>Two running sums, of even and of odd terms.</summary>
public readonly struct InTwoLanes : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms) => Orders.Lanes(terms, 2);
}

/// <summary>Eight running sums, as a vector unit has them.</summary>
public readonly struct InEightLanes : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms) => Orders.Lanes(terms, 8);
}

/// <summary>Each half by itself, down to single terms.</summary>
public readonly struct Pairwise : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms) => terms.Length switch
    {
        0 => 0,
        1 => terms[0].Rounded,
        _ => Sum(terms[..(terms.Length / 2)]) + Sum(terms[(terms.Length / 2)..]),
    };
}

/// <summary>From the last term to the first.</summary>
public readonly struct Backwards : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms)
    {
        Term[] reversed = [.. terms];
        Array.Reverse(reversed);
        return Orders.Chain(reversed);
    }
}

/// <summary>Four parts one after the other, then their sums: a product that is split along k.</summary>
public readonly struct InFourParts : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms)
    {
        if (terms.Length < 4) return Orders.Chain(terms);
        var sum = 0f;
        for (var part = 0; part < 4; part++) sum += Orders.Chain(terms[(terms.Length * part / 4)..(terms.Length * (part + 1) / 4)]);
        return sum;
    }
}

/// <summary>The definition's order, but every product is rounded before it is added.</summary>
public readonly struct WithoutFusing : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var sum = terms[0].Rounded;
        foreach (var term in terms[1..]) sum += term.Rounded;
        return sum;
    }
}

/// <summary>A drawn pair of what is left is added, until one number is left.</summary>
public readonly struct InDrawnPairs : ISumOrder
{
    public static float Sum(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var random = new Random(Orders.Seed * 65537 + terms.Length);
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
}

/// <summary>All orders by turns, by the number of terms and a seed.</summary>
public readonly struct ByTurns : ISumOrder
{
    static readonly Func<ReadOnlySpan<Term>, float>[] Each =
        [InTwoLanes.Sum, InEightLanes.Sum, Pairwise.Sum, Backwards.Sum, InFourParts.Sum, WithoutFusing.Sum, InDrawnPairs.Sum];

    public static float Sum(ReadOnlySpan<Term> terms) => Each[(terms.Length + Orders.Seed) % Each.Length](terms);
}

static class Orders
{
    /// <summary>SUM_SEED=n turns to other orders.</summary>
    public static int Seed { get; } = int.TryParse(Environment.GetEnvironmentVariable("SUM_SEED"), out var seed) ? Math.Abs(seed % 1000) : 0;

    /// <summary>One after the other, each with a fused multiply-add.</summary>
    public static float Chain(ReadOnlySpan<Term> terms)
    {
        if (terms.Length == 0) return 0;
        var sum = terms[0].Rounded;
        foreach (var term in terms[1..]) sum = MathF.FusedMultiplyAdd(term.A, term.B, sum);
        return sum;
    }

    public static float Lanes(ReadOnlySpan<Term> terms, int count)
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
