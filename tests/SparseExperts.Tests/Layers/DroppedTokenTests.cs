using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Layers;

/// <summary>What a dropped token gets from the layer, and the layer that gets it wrong.</summary>
public sealed class DroppedTokenTests
{
    delegate float[] Combine(SparseResult result, float[] input);

    [Fact]
    public void A_dropped_token_contributes_exactly_zero() => Assert.Null(Broken((result, _) => Output(result)));

    /// <summary>A known mistake: the dropped token's own input comes back, scaled by its probability.</summary>
    [Fact]
    public void A_dropped_token_that_comes_back_scaled_is_noticed() => Assert.Contains("token", Broken((result, input) =>
    {
        var y = Output(result);
        for (var t = 0; t < result.Plan.Tokens; t++)
            if (result.Plan.Slot[t] == RoutingPlan.Dropped)
                for (var d = 0; d < result.Output.Columns; d++) y[t * result.Output.Columns + d] = 0.5f * input[t * result.Output.Columns + d];
        return y;
    })!);

    static float[] Output(SparseResult result) => result.Output.Value.Storage.Owner.ToArray(result.Output.Value);

    static string? Broken(Combine combine)
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        float[] Normal(string name, int rows, int columns, double deviation) => new StartValues(3).Of(new(name, 1, rows, columns), Starts.Normal(deviation));
        Parameter Weight(string name, int rows, int columns) => tape.Parameter(name, rows, columns, Normal(name, rows, columns, 0.5));
        var call = new RouterCall
        {
            Dialect = ModelConfig.DefaultDialect with { CapacityFactor = 0.5, MinCapacity = 1 },
            Groups = 1,
            Size = 16,
            Experts = 2,
            Training = true,
        };
        var input = Normal("x", 16, 4, 1);
        RouterWeights router = new() { Weight = Weight("router", 4, 2) };
        ExpertWeights experts = new() { Wi = Weight("wi", 8, 6), Wo = Weight("wo", 12, 4) };
        var result = SparseLayer.Forward(tape, call, tape.Constant(16, 4, input), router, experts);
        Assert.InRange(result.Plan.DropRate, 0.4, 0.6);
        var y = combine(result, input);
        for (var t = 0; t < 16; t++)
            if (result.Plan.Slot[t] == RoutingPlan.Dropped != y.AsSpan(t * 4, 4).ToArray().All(v => v == 0)) return $"token {t}";
        return null;
    }
}
