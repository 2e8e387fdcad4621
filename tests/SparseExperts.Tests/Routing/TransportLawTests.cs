using SparseExperts.Conformance;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Sinkhorn's plans keep the laws of transport, and solvers that are broken in one way each are named.</summary>
public sealed class TransportLawTests
{
    static IEnumerable<(RouterCall Call, double[] Logits)> Calls()
    {
        foreach (var (tokens, experts, seed) in ((int, int, int)[])[(8, 4, 1), (16, 4, 2), (40, 8, 3), (3, 2, 4), (64, 16, 5)])
        {
            var random = new Random(seed);
            RouterCall call = new() { Dialect = BuiltIn.Named("megatron.sinkhorn"), Groups = 1, Size = tokens, Experts = experts, Training = true };
            yield return (call, [.. Enumerable.Range(0, tokens * experts).Select(_ => random.NextDouble() - 0.5)]);
        }
    }

    public static TheoryData<string> Names() => [.. TransportLaws.All.Select(law => law.Name)];

    [Theory, MemberData(nameof(Names))]
    public void Every_plan_keeps_the_law(string name)
    {
        var law = TransportLaws.All.Single(l => l.Name == name);
        Assert.All(Calls(), c => Assert.Null(law.Find(c.Call, c.Logits, TransportLaws.Engine)));
    }

    /// <summary>A softmax that was never balanced; a plan whose experts are not; one that forgets a token.</summary>
    static readonly (TransportLaw Law, TransportSolver Solver)[] Saboteurs =
    [
        (TransportLaws.ColumnsAreEqual, (call, logits) => Softmax(call, logits)),
        (TransportLaws.RowsAreEqual, (call, logits) => [.. TransportLaws.Engine(call, logits).Select((p, i) => i < call.Experts ? 0 : p)]),
        (TransportLaws.ShiftsOfATokenAreNothing, (call, logits) => [.. logits.Select(l => Math.Exp(l) / logits.Sum(Math.Exp))]),
    ];

    [Fact]
    public void A_broken_solver_is_named() =>
        Assert.All(Saboteurs, s => Assert.Contains(Calls(), c => s.Law.Find(c.Call, c.Logits, s.Solver) is not null));

    [Fact]
    public void Every_law_has_a_saboteur() => Assert.Empty(TransportLaws.All.Except(Saboteurs.Select(s => s.Law)));

    static double[] Softmax(RouterCall call, double[] logits) =>
        [.. logits.Chunk(call.Experts).SelectMany(row => row.Select(l => Math.Exp(l) / row.Sum(Math.Exp) / call.Tokens))];
}
