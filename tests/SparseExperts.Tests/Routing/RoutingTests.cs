using SparseExperts.Layers;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

public sealed class RoutingTests
{
    [Theory]
    [InlineData(1024, 16, 1.25, 4, 80)]
    [InlineData(150, 8, 1.0, 4, 18)]
    [InlineData(100, 8, 1.0, 4, 12)]
    [InlineData(6, 4, 1.0, 4, 4)]
    [InlineData(3, 2, 2.0, 4, 4)]
    [InlineData(8, 2, 9.0, 4, 8)]
    [InlineData(200, 4, 1.1, 4, 55)]
    public void Capacity_truncates_then_is_capped_by_the_group_then_raised_to_the_minimum(int tokens, int experts, double factor, int minimum, int expected) =>
        Assert.Equal(expected, CapacityRule.Capacity(new()
        {
            Dialect = BuiltIn.Named("mesh.switch") with { CapacityFactor = factor, MinCapacity = minimum },
            Groups = 1,
            Size = tokens,
            Experts = experts,
            Training = true,
        }, default));

    [Theory]
    [InlineData(2048, 1024, 2)]
    [InlineData(1500, 1024, 1)]
    [InlineData(3000, 1024, 2)]
    [InlineData(3075, 1024, 3)]
    [InlineData(4097, 1024, 17)]
    [InlineData(77, 0, 1)]
    public void Groups_start_at_the_floor_and_grow_until_they_divide(int tokens, int size, int expected) =>
        Assert.Equal(expected, Grouping.Count(BuiltIn.Named("mesh.switch") with { GroupSize = size }, tokens, 1, 4));

    static RoutingPlan Plan(float[] scores, int experts, int groups, int capacity, float[] tokenMask)
    {
        var call = new RouterCall
        {
            Dialect = BuiltIn.Named("mesh.switch") with { Capacity = capacity },
            Groups = groups,
            Size = scores.Length / experts / groups,
            Experts = experts,
            Training = true,
            TokenMask = tokenMask,
        };
        return RouterFromScores.Plan(call, scores);
    }

    [Fact]
    public void Places_go_in_token_order_and_ties_to_the_lowest_expert()
    {
        float[] scores = [0.5f, 0.5f, 0.9f, 0.1f, 0.2f, 0.8f, 0.6f, 0.4f, 0.5f, 0.5f, 0.3f, 0.7f];
        var plan = Plan(scores, 2, 1, 2, [1, 1, 1, 0, 1, 1]);
        Assert.Equal("""
            T=6 E=2 K=1 G=1 C=2 rows=4
              token 0: 0:0
              token 1: 0:1
              token 2: 1:0
              token 3: –
              token 4: 0:×
              token 5: 1:1

            """, plan.Describe());
        Assert.Equal([0, 2, 4], plan.Offsets);
        Assert.Equal([0, 1, 2, 5], plan.TokenOfRow);
        Assert.Equal(0.2, plan.DropRate, 12);
    }

    [Fact]
    public void Rows_of_an_expert_lie_together_in_the_order_of_tokens_whoever_was_served_first()
    {
        var plan = new RoutingPlan(2, 1, 1, 3, [0, 1, 0, 0], [2, 0, 0, RoutingPlan.Dropped]);
        Assert.Equal([0, 2, 1], plan.TokenOfRow);
        Assert.Equal([0, 2, 3], plan.Offsets);
        Assert.Equal([0, 2, 1, RoutingPlan.Dropped], plan.RowOf);
    }

    [Fact]
    public void Rows_of_an_expert_lie_together_group_by_group()
    {
        float[] scores = [1, 0, 0, 1, 1, 0, 1, 0];
        var plan = Plan(scores, 2, 2, 4, []);
        Assert.Equal([0, 2, 3, 1], plan.TokenOfRow);
        Assert.Equal([0, 3, 4], plan.Offsets);
        Assert.Equal([0, 0, 0, 1], plan.Slot);
    }

    [Fact]
    public void Switch_initialisation_is_a_truncated_normal_of_scale_a_tenth()
    {
        var values = new StartValues(1).Of(new("weight", 1, 1, 100_000), Starts.TruncatedNormal(0.1, 64));
        var deviation = Math.Sqrt(0.1 / 64);
        Assert.All(values, v => Assert.InRange(v, -2 * deviation * 1.0000001, 2 * deviation * 1.0000001));
        // A normal cut at two deviations keeps 0.8796 of its deviation; five standard errors of the estimate allow 0.0098 of that.
        var measured = Math.Sqrt(values.Average(v => (double)v * v)) / deviation;
        Assert.InRange(measured, 0.8796 * (1 - 0.0098), 0.8796 * (1 + 0.0098));
    }
}
