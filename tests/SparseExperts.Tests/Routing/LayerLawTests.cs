using SparseExperts.Conformance;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Every dialect keeps every law of layers that its axes promise, and engines broken in one way each are named by the law that catches them.</summary>
public sealed class LayerLawTests
{
    public static TheoryData<string> Names() => [.. LayerLaws.All.Select(law => law.Name)];

    static LayerLaw Law(string name) => LayerLaws.All.Single(law => law.Name == name);

    [Theory, MemberData(nameof(Names))]
    public void Every_dialect_that_promises_a_law_keeps_it(string name)
    {
        Dialect[] promised = [.. BuiltIn.All.Where(Law(name).IsPromised)];
        Assert.NotEmpty(promised);
        string[] broken = [.. promised.Select(d => (d.Name, Found: Law(name).Find(d, LayerLaws.Engine))).Where(f => f.Found is not null).Select(f => $"{f}")];
        Assert.True(broken.Length == 0, $"{broken.Length} of {promised.Length} dialects:\n{string.Join('\n', broken)}");
    }

    /// <summary>Engines that read one axis otherwise than they were told.</summary>
    static LayerEngine Otherwise(Func<Dialect, Dialect> change) => asked => LayerLaws.Engine(asked.Under(change(asked.Dialect)));

    static LayerEngine Tampering(string claim, Func<double[], double[]> change) => asked =>
    {
        var answered = LayerLaws.Engine(asked);
        return answered.Find(claim) is { } tensor ? answered.With(tensor with { Values = change([.. tensor.Values]) }) : answered;
    };

    /// <summary>A rank that steps the bias by the counts of its own group.</summary>
    static Case FirstGroupsBias(Case asked)
    {
        var shape = asked.Get("x").Shape;
        CaseTensor First(CaseTensor t) => t with { Shape = [1, .. t.Shape[1..]], Values = t.Values[..(t.Values.Length / (int)shape[0])] };
        var ofGroups = asked.Tensors.Where(t => t.Shape.Length >= 2 && t.Shape[0] == shape[0] && t.Shape[1] == shape[1]);
        return LayerLaws.Engine(asked).With(LayerLaws.Engine(asked.With(ofGroups.Select(First).ToArray())).Get("claim.correction_bias"));
    }

    static readonly (LayerLaw Law, string Dialect, LayerEngine Engine)[] Saboteurs =
    [
        (LayerLaws.TheLargestAreChosen, "hf.mixtral", Tampering("claim.expert", e => [.. e.Select(id => (id + 1) % 8)])),
        (LayerLaws.TheLargestAreChosen, "hf.deepseek_v3", Otherwise(d => d with { CorrectionBias = false })),
        (LayerLaws.GroupsAreFew, "deepseek.inference_v3", Otherwise(d => d with { Groups = 1, GroupsKept = 1 })),
        (LayerLaws.GatesFollowScores, "hf.deepseek_v3", Otherwise(d => d with { Gate = Gate.BiasedScore })),
        (LayerLaws.GatesFollowScores, "hf.mixtral", Tampering("claim.gate", g => [.. g.Chunk(2).SelectMany(pair => pair.Reverse())])),
        (LayerLaws.BiasMovesNoWeight, "hf.deepseek_v3", Otherwise(d => d with { Gate = Gate.BiasedScore, Normalize = Normalize.None })),
        (LayerLaws.DividedGatesAddUp, "hf.mixtral", Otherwise(d => d with { Normalize = Normalize.None })),
        (LayerLaws.DividedGatesAddUp, "hf.kimi_linear", Otherwise(d => d with { ScalingFactor = 1 })),
        (LayerLaws.ScalingIsLinear, "hf.deepseek_v3", Otherwise(d => d with { ScalingFactor = 1 })),
        (LayerLaws.EqualExpertsAreOne, "hf.mixtral", Otherwise(d => d with { Normalize = Normalize.None })),
        (LayerLaws.EveryChoiceIsMade, "hf.mixtral", Otherwise(d => d with { CapacityFormula = CapacityFormula.Given, Capacity = 1 })),
        (LayerLaws.RoomForAllKeepsAll, "flax.tokens_choose_masked", Otherwise(d => d with { Capacity = 2 })),
        (LayerLaws.ExpertsDoNotSeeTheJitter, "mesh.switch", Otherwise(d => d with { JitterReach = JitterReach.RouterAndExperts })),
        (LayerLaws.SiblingsAgree, "flax.tokens_choose_masked", asked => asked.Dialect.Name == "flax.tokens_choose_scatter"
            ? Tampering("claim.gate", g => [.. g.Select(gate => gate / 2)])(asked)
            : LayerLaws.Engine(asked)),
        (LossLaws.UniformScores, "hf.mixtral", Otherwise(d => d with { BalanceScale = BalanceScale.OneOverExperts })),
        (LossLaws.PaddingIsAbsent, "hf.mixtral", Otherwise(d => d with { BalanceTokens = BalanceTokens.RealOverAll })),
        (LossLaws.OneSequence, "hf.mixtral", asked => asked.Dialect.BalanceLevel == BalanceLevel.Sequence
            ? Tampering("claim.loss.balance", l => [2 * l[0]])(asked)
            : LayerLaws.Engine(asked)),
        (LossLaws.NoLossWithoutGradient, "hf.mixtral", Otherwise(d => d with { BalanceCoefficient = 0 })),
        (LossLaws.NoCoefficientNoGradient, "hf.mixtral", Otherwise(d => d with { BalanceCoefficient = 0.01 })),
        (LossLaws.BiasSeesPooledCounts, "hf.deepseek_v3", FirstGroupsBias),
        (LossLaws.ImportanceIsClean, "vmoe.top_experts_per_item", Otherwise(d => d with { Importance = ImportanceLoss.Gates })),
    ];

    public static TheoryData<int> Broken() => [.. Enumerable.Range(0, Saboteurs.Length)];

    [Theory, MemberData(nameof(Broken))]
    public void A_broken_engine_is_named_by_its_law(int saboteur)
    {
        var (law, name, engine) = Saboteurs[saboteur];
        var dialect = BuiltIn.Named(name);
        Assert.True(law.IsPromised(dialect), $"{name} does not promise {law.Name}");
        Assert.Same(law, Assert.Throws<LayerLawViolation>(() => law.Demand(dialect, engine)).Law);
    }

    [Fact]
    public void Every_law_has_a_saboteur() => Assert.Empty(LayerLaws.All.Except(Saboteurs.Select(s => s.Law)));
}
