using SparseExperts.Conformance;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Every dialect in which tokens choose experts keeps the laws of replay, and replays that are broken in one way each are named.</summary>
public sealed class RouteLawTests
{
    public static TheoryData<string> Names() => [.. RouteLaws.All.Select(law => law.Name)];

    [Theory, MemberData(nameof(Names))]
    public void Every_dialect_that_promises_a_law_keeps_it(string name)
    {
        var law = RouteLaws.All.Single(l => l.Name == name);
        Dialect[] promised = [.. BuiltIn.All.Where(law.IsPromised)];
        Assert.True(promised.Length > 20, $"{promised.Length} dialects promise it");
        string[] broken = [.. promised.Select(d => (d.Name, Found: law.Find(d, RouteLaws.Engine))).Where(f => f.Found is not null).Select(f => $"{f}")];
        Assert.True(broken.Length == 0, $"{broken.Length} of {promised.Length} dialects:\n{string.Join('\n', broken)}");
    }

    /// <summary>A replay that routes anew; one that takes the recorded gates along.</summary>
    static readonly (RouteLaw Law, RouteEngine Engine)[] Saboteurs =
    [
        (RouteLaws.OwnRoutesChangeNothing, (asked, routes) => RouteLaws.Engine(asked, routes.With(Turned(routes.Get("claim.expert"))).Without(["claim.slot"]))),
        (RouteLaws.ForeignRoutesAreHonoured, (asked, routes) => LayerLaws.Engine(asked)),
        (RouteLaws.ForeignRoutesAreHonoured, (asked, routes) => RouteLaws.Engine(asked, routes).With(routes.Get("claim.gate"))),
    ];

    static CaseTensor Turned(CaseTensor expert) => expert with { Values = [.. expert.Values.Chunk(2).SelectMany(pair => pair.Reverse())] };

    [Fact]
    public void A_broken_replay_is_named() => Assert.All(Saboteurs, s => Assert.NotNull(s.Law.Find(BuiltIn.Named("hf.mixtral"), s.Engine)));

    [Fact]
    public void Every_law_has_a_saboteur() => Assert.Empty(RouteLaws.All.Except(Saboteurs.Select(s => s.Law)));
}
