using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>A plan [T, E] of how much of a token goes to an expert, from logits [T, E].</summary>
public delegate double[] TransportSolver(RouterCall call, double[] logits);

/// <summary>A sentence about plans of Sinkhorn's kind. <paramref name="Find"/> gives what contradicts it for one call, or null.</summary>
public sealed record TransportLaw(string Name, Func<RouterCall, double[], TransportSolver, string?> Find)
{
    public override string ToString() => Name;
}

/// <summary>Laws of balanced transport: what a plan's sums are (Cuturi 2013; Clark et al. 2022, appendix B).</summary>
public static class TransportLaws
{
    /// <summary>Sinkhorn's: the mean change of the experts' factors at which it stops, and what it adds to its sums.</summary>
    const double Stop = 1e-4, Guard = 1e-8;

    /// <summary>
    /// What a sum may depart from its share by, relative to it: E times the error over the smallest factor. Factors begin at 1, no round takes them farther
    /// from the fixed point (a round expands no ratio), and its factors stand within e^R to each other, R being the largest range of a token's logits: so
    /// none is below e^−R.
    /// </summary>
    static double Within(RouterCall call, double[] logits, double error) =>
        call.Experts * error * Math.Exp(logits.Chunk(call.Experts).Max(row => row.Max() - row.Min()));

    public static double[] Engine(RouterCall call, double[] logits) => Sinkhorn.Plan(call, logits, out _);

    public static TransportLaw ColumnsAreEqual { get; } = new("Each_expert_gets_an_equal_share_of_the_mass", (call, logits, solver) =>
    {
        var plan = solver(call, logits);
        for (var e = 0; e < call.Experts; e++)
        {
            var sum = Enumerable.Range(0, call.Tokens).Sum(t => plan[t * call.Experts + e]);
            if (!(Math.Abs(sum * call.Experts - 1) <= Within(call, logits, Guard))) return $"expert {e} gets {sum} of 1/{call.Experts}";
        }
        return null;
    });

    public static TransportLaw RowsAreEqual { get; } = new("Each_token_gives_an_equal_share_of_the_mass", (call, logits, solver) =>
    {
        var plan = solver(call, logits);
        for (var t = 0; t < call.Tokens; t++)
        {
            var sum = Enumerable.Range(0, call.Experts).Sum(e => plan[t * call.Experts + e]);
            if (!(Math.Abs(sum * call.Tokens - 1) <= Within(call, logits, Stop))) return $"token {t} gives {sum} of 1/{call.Tokens}";
        }
        return null;
    });

    /// <summary>Where a token's logits all rise by one number, its row is scaled back to what it was; the two may stop a round apart.</summary>
    public static TransportLaw ShiftsOfATokenAreNothing { get; } = new("A_number_added_to_all_logits_of_a_token_changes_nothing", (call, logits, solver) =>
    {
        double[] plan = solver(call, logits), shifted = solver(call, [.. logits.Select((l, i) => l + i / call.Experts % 3)]);
        for (var i = 0; i < plan.Length; i++)
            if (!(Math.Abs(plan[i] - shifted[i]) * call.Tokens <= 2 * Within(call, logits, Stop)))
                return $"token {i / call.Experts}: {plan[i]} became {shifted[i]}";
        return null;
    });

    public static IReadOnlyList<TransportLaw> All { get; } = [ColumnsAreEqual, RowsAreEqual, ShiftsOfATokenAreNothing];
}
