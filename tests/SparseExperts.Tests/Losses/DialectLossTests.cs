using SparseExperts.Routing;
using SparseExperts.Tests.Routing;
using Xunit;

namespace SparseExperts.Tests.Losses;

/// <summary>What the losses are when experts are equally busy and when one does everything, and what gates add up to; in double.</summary>
public sealed class DialectLossTests
{
    const int Experts = 4, Tokens = 8;
    const double Rounding = 1e-6;

    /// <summary>Token t likes experts t, t + 1, … in that order: every expert is first choice, second choice, … equally often.</summary>
    static double[] Balanced => [.. Enumerable.Range(0, Tokens * Experts).Select(i => -0.7 * ((i % Experts - i / Experts % Experts + Experts) % Experts))];

    /// <summary>The same inside each of k parts of the experts.</summary>
    static double[] BalancedFor(Dialect d)
    {
        if (d.Selection != Selection.OnePerPrototype) return Balanced;
        var part = Experts / d.K;
        return [.. Enumerable.Range(0, Tokens * Experts).Select(i => -0.7 * ((i % part - i / Experts % part + part) % part))];
    }

    /// <summary>All tokens like expert 0, then 1, ….</summary>
    static double[] Collapsed => [.. Enumerable.Range(0, Tokens * Experts).Select(i => -2.0 * (i % Experts))];

    static Dialect Roomy(Dialect d) =>
        (d.CapacityFormula is CapacityFormula.None or CapacityFormula.UnlessZero ? d : d with { Capacity = Tokens, CapacityFraction = null }) with
        {
            MinCapacity = 0,
            CapacityMultiple = 0,
            Jitter = 0,
            Policy = Policy.All,
            Noise = d.Noise is LogitNoise.NormalSoftplus ? d.Noise : LogitNoise.None,
            Loss = d.Loss is null ? null : LossChoice.Gshard,
            Activation = ExpertActivation.Relu,
            Combination = Combination.Gated,
            SharedExpert = false,
            SharedInGates = false,
            SharedChoices = 0,
            IdentityExperts = 0,
            LatentExperts = false,
            ExpertsInNorm = false,
            ExpertsPostNorm = false,
            OutputBias = false,
            RouterNorm = false,
            ExpertScale = false,
            GlobalScale = false,
        };

    static bool IsPlain(Dialect d) =>
        d.Router == RouterForm.Linear && d.Selection is Selection.TopK or Selection.Cascade or Selection.OnePerPrototype or Selection.SparseMixer;

    static Golden Run(Dialect d, double[] logits, bool training = true) =>
        Golden.Run(Roomy(d), logits, Experts, training, noiseWeight: d.Noise == LogitNoise.NormalSoftplus,
        draws: new() { Rts = [.. Enumerable.Range(0, Tokens * Experts).Select(i => (i * 7 % 31 + 1) / 32f)], Noise = new float[Tokens * Experts] });

    static IEnumerable<Dialect> WithProduct =>
        BuiltIn.All.Where(d => IsPlain(d) && d.Balance == BalanceLoss.Product && d.Score is Score.Softmax or Score.SoftmaxPost or Score.SoftmaxPerPrototype);

    public static TheoryData<string> Products() => [.. WithProduct.Select(d => d.Name)];

    [Theory, MemberData(nameof(Products))]
    public void The_balance_loss_has_its_promised_value_at_balance_and_grows_with_collapse(string name)
    {
        var d = BuiltIn.Named(name);
        var counted = d.BalanceCount is BalanceCount.AllChoices or BalanceCount.FreshTopK ? d.K : 1;
        var mass = d.Score == Score.SoftmaxPerPrototype ? d.K : 1;
        var scale = d.BalanceScale switch { BalanceScale.Experts => Experts, BalanceScale.ExpertsOverChoices => (double)Experts / d.K, _ => 1.0 / Experts };
        var loss = d.GshardLoss ? "gshard" : "balance";
        var balanced = Run(d, BalancedFor(d)).Losses[loss];
        Assert.Equal(scale * counted * mass / Experts, balanced, Rounding * 10);
        if (d.BalanceCount == BalanceCount.Candidates) return;
        var collapsed = Run(d, Collapsed).Losses[loss];
        Assert.True(collapsed > balanced * 1.05, $"{collapsed} for collapse, {balanced} at balance");
    }

    /// <summary>The same coefficient means k times more pressure in one half of the field than in the other.</summary>
    [Theory]
    [InlineData("megatron.topk", 1)]
    [InlineData("deepspeed.topk", 1)]
    [InlineData("tutel.topk", 1)]
    [InlineData("fairseq.top2", 1)]
    [InlineData("megablocks.dropless", 1)]
    [InlineData("hf.switch.v4", 1)]
    [InlineData("hf.mixtral", 2)]
    [InlineData("hetu.topk", 2)]
    [InlineData("hetu.k_top_1", 2)]
    public void Perfect_balance_is_one_here_and_k_there(string name, double expected) =>
        Assert.Equal(expected, Run(BuiltIn.Named(name), BalancedFor(BuiltIn.Named(name))).Losses["balance"], Rounding);

    [Theory]
    [InlineData("shazeer.noisy_topk")]
    [InlineData("t2t.noisy_topk")]
    [InlineData("fastmoe.noisy")]
    [InlineData("vmoe.top_experts_per_item")]
    public void Importance_and_load_vanish_at_balance(string name)
    {
        var golden = Run(BuiltIn.Named(name), Balanced);
        Assert.All(golden.Losses.Where(l => l.Key is "importance" or "load"), l => Assert.Equal(0, l.Value, 1e-9));
        Assert.Contains(Run(BuiltIn.Named(name), Collapsed).Losses, l => l.Key == "importance" && l.Value > 0.1);
    }

    public static TheoryData<string> Normalised() => [.. BuiltIn.All.Where(d => IsPlain(d) && d.K > 1 && d.Gate == Gate.Score
        && (d.Normalize is Normalize.Sum or Normalize.BeforeDrop or Normalize.AfterDrop
            || d.Score == Score.SoftmaxPost || d.Normalize == Normalize.SumUnlessSoftmax)).Select(d => d.Name)];

    [Theory, MemberData(nameof(Normalised))]
    public void Gates_that_are_divided_add_up_to_the_scaling_factor(string name)
    {
        var d = BuiltIn.Named(name);
        var golden = Run(d, Collapsed, training: true);
        var k = golden.Result.Plan.Choices;
        for (var t = 0; t < Tokens; t++) Assert.Equal(d.ScalingFactor, golden.Gates.AsSpan(t * k, k).ToArray().Sum(), 3e-6);
    }

    public static TheoryData<string> Raw() =>
    [
        .. BuiltIn.All.Where(d => IsPlain(d) && d is { Gate: Gate.Score, Normalize: Normalize.None, ScalingFactor: 1, Score: Score.Softmax })
            .Select(d => d.Name),
    ];

    [Theory, MemberData(nameof(Raw))]
    public void Gates_that_are_not_divided_are_the_probabilities(string name)
    {
        var golden = Run(BuiltIn.Named(name), Collapsed);
        var p = Enumerable.Range(0, Experts).Select(e => Math.Exp(-2.0 * e)).ToArray();
        Assert.Equal(p[0] / p.Sum(), golden.Gates[0], 1e-9);
    }
}
