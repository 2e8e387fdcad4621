using SparseExperts.Losses;
using SparseExperts.Models;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>What every selection has to say of itself, and every coefficient of a loss.</summary>
public sealed class SelectionFactTests
{
    static readonly Dialect Blank = new() { Name = "blank", Summary = "", Source = "", Evidence = Evidence.Own, Parameters = [] };

    public static TheoryData<Selection> Selections => [.. Enum.GetValues<Selection>()];

    [Theory, MemberData(nameof(Selections))]
    public void Every_selection_says_whom_it_looks_at_and_how_many_experts_a_token_meets(Selection selection)
    {
        var d = Blank with { Selection = selection };
        Assert.True(Enum.IsDefined(d.Causality));
        if (d.RoutesAlone) Assert.True(d.Causality == Causality.Causal || selection == Selection.Sinkhorn);
        Assert.InRange(new ModelConfig { Dialect = d, Experts = 8 }.ExpertsPerToken, 1, 8);
    }

    [Fact]
    public void One_that_nobody_has_heard_of_is_refused_everywhere()
    {
        var d = Blank with { Selection = (Selection)99 };
        Assert.Throws<InvalidOperationException>(() => d.Causality);
        Assert.Throws<InvalidOperationException>(() => d.RoutesAlone);
        Assert.Throws<InvalidOperationException>(() => new ModelConfig { Dialect = d, Experts = 8 }.ExpertsPerToken);
    }

    /// <summary>Tutel's load and importance loss has the balance loss's coefficient.</summary>
    [Fact]
    public void Every_loss_has_a_coefficient_that_can_be_taken_away_and_left_alone()
    {
        Assert.Equal(AuxiliaryLosses.AllNames.Where(name => name != "load_importance").Order(), LossCoefficients.All.Select(loss => loss.Key).Order());
        foreach (var axis in LossCoefficients.All.SelectMany(loss => loss))
        {
            var d = axis.With(Blank with { ExtraCoefficient = 3 }, "0.5", "test");
            Assert.Equal(Blank with { ExtraCoefficient = 3 }, d.WithoutLossCoefficients);
            Assert.Equal(d, Assert.Single(LossCoefficients.Each(d)).Alone);
        }
    }
}
