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
    /// <summary>The iterations stop where the columns' factors change by less, on average; their guard is 1e-8.</summary>
    const double Tolerance = 1e-3, Guard = 1e-6;

    public static double[] Engine(RouterCall call, double[] logits) => Sinkhorn.Plan(call, logits, out _);

    public static TransportLaw ColumnsAreEqual { get; } = new("Each_expert_gets_an_equal_share_of_the_mass", (call, logits, solver) =>
    {
        var plan = solver(call, logits);
        for (var e = 0; e < call.Experts; e++)
        {
            var sum = Enumerable.Range(0, call.Tokens).Sum(t => plan[t * call.Experts + e]);
            if (!(Math.Abs(sum * call.Experts - 1) <= Guard)) return $"expert {e} gets {sum} of 1/{call.Experts}";
        }
        return null;
    });

    public static TransportLaw RowsAreEqual { get; } = new("Each_token_gives_an_equal_share_of_the_mass", (call, logits, solver) =>
    {
        var plan = solver(call, logits);
        for (var t = 0; t < call.Tokens; t++)
        {
            var sum = Enumerable.Range(0, call.Experts).Sum(e => plan[t * call.Experts + e]);
            if (!(Math.Abs(sum * call.Tokens - 1) <= Tolerance)) return $"token {t} gives {sum} of 1/{call.Tokens}";
        }
        return null;
    });

    /// <summary>Where a token's logits all rise by one number, its row is scaled back to what it was.</summary>
    public static TransportLaw ShiftsOfATokenAreNothing { get; } = new("A_number_added_to_all_logits_of_a_token_changes_nothing", (call, logits, solver) =>
    {
        double[] plan = solver(call, logits), shifted = solver(call, [.. logits.Select((l, i) => l + i / call.Experts % 3)]);
        for (var i = 0; i < plan.Length; i++)
            if (!(Math.Abs(plan[i] - shifted[i]) * call.Tokens <= Tolerance)) return $"token {i / call.Experts}: {plan[i]} became {shifted[i]}";
        return null;
    });

    public static IReadOnlyList<TransportLaw> All { get; } = [ColumnsAreEqual, RowsAreEqual, ShiftsOfATokenAreNothing];
}
