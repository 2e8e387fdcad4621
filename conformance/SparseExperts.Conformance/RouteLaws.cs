using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using static SparseExperts.Conformance.LayerLaws;

namespace SparseExperts.Conformance;

/// <summary>
/// How a layer answers a case with the routes of another answer (claim.expert, claim.slot) in the place of its router's: by default the library's replay.
/// </summary>
public delegate Case RouteEngine(Case asked, Case routes);

/// <summary>A sentence about replayed routes that is true of every dialect in which tokens choose experts. <paramref name="Find"/> as in the others.</summary>
public sealed record RouteLaw(string Name, Func<Dialect, bool> IsPromised, Func<Dialect, RouteEngine, string?> Find);

/// <summary>Laws of rollout routing replay (arXiv:2510.11370), as unit tests of engines that have it state them.</summary>
public static class RouteLaws
{
    static bool Replays(Dialect d) => Probes.Has(d) && CaseAnswers.HasRoutes(d) && (d.Taken == Taken.Removed || d.K == 1);

    /// <summary>The reference's replay, in double precision.</summary>
    public static Case Engine(Case asked, Case routes)
    {
        using var backend = new ScalarBackend<Float64>();
        return CaseAnswers.Replay(asked, routes, backend);
    }

    public static RouteLaw OwnRoutesChangeNothing { get; } = new("Own_routes_fed_back_reproduce_the_call", Replays, (d, engine) =>
    {
        foreach (var probe in (string[])["plain-train", "overflow-train"])
        {
            if (!Probes.Of(d, "train").Any(p => p.Name == probe)) continue;
            var asked = Asked(d, probe);
            var own = LayerLaws.Engine(asked);
            if (Different(own, engine(asked, own)) is { } claim) return $"{claim} changes in {probe}";
        }
        return null;
    });

    public static RouteLaw ForeignRoutesAreHonoured { get; } = new("Foreign_routes_are_honoured_and_gates_follow_the_scores", GatesByScore, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        var answered = LayerLaws.Engine(asked);
        var (expert, experts) = (answered.Get("claim.expert"), new LayerAnswer(answered).Experts);
        var foreign = answered.Without(["claim.slot"]).With(expert with { Values = [.. expert.Values.Select(e => e < 0 ? e : (e + 1) % experts)] });
        var replayed = new LayerAnswer(engine(asked, foreign));
        var recorded = foreign.Get("claim.expert").Integers;
        for (var t = 0; t < replayed.Tokens; t++)
            for (var j = 0; j < replayed.Choices; j++)
            {
                if (replayed.Expert(t, j) != recorded[t * replayed.Choices + j]) return $"choice {j} of token {t} is not the recorded one";
                if (!replayed.IsKept(t, 0) || !replayed.IsKept(t, j)) continue;
                var (first, own) = (replayed.Gate(t, 0), replayed.Gate(t, j));
                double left = first * replayed.Score(t, replayed.Expert(t, j)), right = own * replayed.Score(t, replayed.Expert(t, 0));
                if (!AreClose(left, right)) return $"token {t}: gates {first} and {own} are not as the scores at the recorded ids";
            }
        return null;
    });

    public static IReadOnlyList<RouteLaw> All { get; } = [OwnRoutesChangeNothing, ForeignRoutesAreHonoured];

    /// <summary>The first claim of both whose numbers differ.</summary>
    internal static string? Different(Case a, Case b) =>
        a.Tensors.Where(t => t.Name.StartsWith("claim.", StringComparison.Ordinal))
            .FirstOrDefault(t => b.Find(t.Name) is not { } other || !OpRunner.SameBits(t.Values, other.Values))?.Name;
}
