using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Routers of inference engines, and options of trainers, on the table of <see cref="GoldenVectorTests"/>: each number follows by hand.</summary>
public sealed class EngineDialectTests
{
    static readonly double[] Three = [2, 1, 0, 2.2, 0, 1, 1, 2.1, 0];

    [Fact]
    public void Balanced_load_goes_round_the_experts_with_weight_1() =>
        Golden.Run(BuiltIn.Named("trtllm.load_balanced"), Three, 3).Combines("t0{0:1,1:1} t1{0:1,2:1} t2{1:1,2:1}");

    /// <summary>σ(2), σ(1); σ(1), σ(2.2); σ(2.1), σ(0).</summary>
    [Fact]
    public void Forced_balance_of_a_trainer_keeps_the_scores_of_the_experts_that_it_goes_round() =>
        Golden.Run(BuiltIn.Named("torchtitan.topk") with { ForceBalance = true }, Three, 3)
            .Combines("t0{0:.880797,1:.731059} t1{0:.900250,2:.731059} t2{1:.890903,2:.5}");
}
