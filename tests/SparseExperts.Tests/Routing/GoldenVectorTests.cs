using SparseExperts.Layers;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>
/// Worked numbers that can be followed by hand. First table: six tokens, three experts, two slots each. Second table: six tokens, four experts.
/// </summary>
public sealed class GoldenVectorTests
{
    static readonly double[] Three = [2, 1, 0, 2.2, 0, 1, 1, 2.1, 0, 3, 0, 1, 2, 1.5, 0, 0, 1, 1.9];
    static readonly double[] Four = [2, 1, 0, -1, 1.5, 1.4, .2, .1, 2.5, .5, .4, .3, 1, 2, 1.5, -.5, 3, 1, 2, 0, .3, .2, .1, .9];
    static readonly float[] LastPadded = [1, 1, 1, 1, 1, 0], FirstPadded = [0, 1, 1, 1, 1, 1];

    static Dialect Two(string name) => BuiltIn.Named(name) with { Capacity = 2, MinCapacity = 0, RouterPolicy = RouterPolicy.Argmax };
    static Dialect All(string name) => Two(name) with { Policy = Policy.All };

    [Fact]
    public void Mesh_switch() =>
        Golden.Run(Two("mesh.switch") with { ZCoefficient = 1 }, Three, 3)
            .Combines("t0{0:.665241} t1{0:.708217} t2{1:.687131} t5{2:.642616}")
            .Loses("balance", 1.279048)
            .Loses("z", 6.743675);

    [Fact]
    public void Mesh_switch_with_padding() =>
        Golden.Run(Two("mesh.switch"), Three, 3, tokenMask: LastPadded).Combines("t0{0:.665241} t1{0:.708217} t2{1:.687131}").Loses("balance", 1.065873);

    [Fact]
    public void Transformers_switch() =>
        Golden.Run(Two("hf.switch.v4"), Three, 3)
            .Combines("t0{0:.665241} t1{0:.708217} t2{1:.687131} t5{2:.642616}")
            .Loses("balance", 1.279048)
            .Loses("z", 6.743675);

    [Fact]
    public void Transformers_switch_counts_dropped_tokens_for_expert_0()
    {
        double[] swapped = [.. Enumerable.Range(0, 18).Select(i => Three[i / 3 * 3 + (i % 3 == 0 ? 1 : i % 3 == 1 ? 0 : 2)])];
        Golden.Run(Two("hf.switch.v4"), swapped, 3).Loses("balance", 1.036652);
    }

    [Fact]
    public void Mesh_switch_max() => Golden.Run(Two("mesh.switch_max"), Three, 3).Combines("t1{0:.708217} t2{1:.687131} t3{0:.843795} t5{2:.642616}");

    [Fact]
    public void Mesh_ntlb() => Golden.Run(Two("mesh.ntlb") with { K = 2 }, Three, 3)
        .Combines("t0{0:.665241} t1{0:.708217} t2{1:.687131} t3{2:.114195} t4{1:.348207} t5{2:.642616}").Loses("balance", 1.078925);

    [Fact]
    public void Mesh_expert_selection() => Golden.Run(Two("mesh.expert_selection"), Three, 3)
        .Combines("t1{0:.094787,2:.089876} t2{1:.406592} t3{0:.421904} t4{1:.223143} t5{2:.442117}").Loses("balance", 1.042457);

    [Theory, InlineData("mesh.top_2"), InlineData("lingvo.top2"), InlineData("luc.moe_top2")]
    public void Top_2_divided_before_dropping(string name) => Golden.Run(All(name), Three, 3)
        .Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:.750260} t5{2:.710950}").Loses("balance", 1.279048);

    [Fact]
    public void Top_2_with_a_threshold() => Golden.Run(Two("mesh.top_2") with { Policy = Policy.Threshold, Threshold = 0.3 }, Three, 3)
        .Combines("t0{0:.731059} t1{0:.768525} t2{1:.750260} t4{1:.377541} t5{2:.710950}");

    [Theory, InlineData("mesh.top_2"), InlineData("luc.moe_top2")]
    public void Top_2_with_padding(string name) => Golden.Run(All(name), Three, 3, tokenMask: LastPadded)
        .Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:.750260} t3{2:.119203}").Loses("balance", 1.123404);

    [Fact]
    public void Tokens_of_half_importance_make_only_a_second_choice() => Golden.Run(All("luc.moe_top2"), Three, 3, tokenMask: [1, .5f, 1, 1, 1, .5f])
        .Combines("t0{0:.731059,1:.268941} t2{1:.750260} t3{0:.880797,2:.119203} t5{2:1.0}").Loses("balance", 0.688138);

    [Fact]
    public void Mesh_top_n_with_all_experts_keeps_probabilities() => Golden.Run(All("mesh.top_n") with { K = 3 }, Three, 3)
        .Combines("t0{0:.665241,1:.244728} t1{0:.708217,2:.213311} t2{1:.687131} t5{2:.642616}").Loses("balance", 1.279048);

    [Fact]
    public void Lingvo_divided_at_the_end()
    {
        var dialect = All("lingvo.top2") with { Normalize = Normalize.AfterDrop, LossDenominator = LossDenominator.RealTokens };
        Golden.Run(dialect, Three, 3).Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:1.0} t5{2:1.0}").Loses("balance", 1.279045);
        Golden.Run(dialect, Three, 3, tokenMask: LastPadded)
            .Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:1.0} t3{2:1.0}")
            .Loses("balance", 1.617698);
    }

    [Theory, InlineData("flax.tokens_choose_masked"), InlineData("vmoe.top_experts_per_item")]
    public void Two_raw_choices(string name)
    {
        var golden = Golden.Run(Two(name) with { K = 2, CapacityMultiple = 0 }, Three, 3, training: false)
            .Combines("t0{0:.665241,1:.244728} t1{0:.708217,2:.213311} t2{1:.687131} t5{2:.642616}");
        if (name.StartsWith("flax", StringComparison.Ordinal)) golden.Loses("balance", 2.157850);
    }

    [Fact]
    public void Flax_batch_prioritised() => Golden.Run(Two("flax.tokens_choose_masked") with { K = 2, BatchPrioritized = true }, Three, 3)
        .Combines("t0{1:.244728} t1{0:.708217} t2{1:.687131} t3{0:.843795,2:.114195} t5{2:.642616}");

    [Fact]
    public void Flax_padding_is_skipped_by_the_masked_router_and_takes_slots_in_the_other()
    {
        // The documents pad token 0, whose row is zero then: its logits are 0 and it would choose expert 0.
        double[] logits = [0, 0, 0, .. Three[3..]];
        Golden.Run(Two("flax.tokens_choose_masked") with { IgnorePadding = true }, logits, 3, tokenMask: FirstPadded)
            .Combines("t1{0:.708217} t2{1:.687131} t3{0:.843795} t5{2:.642616}")
            .Loses("balance", 0.825158);
        Golden.Run(Two("flax.tokens_choose_scatter") with { IgnorePadding = true }, logits, 3, tokenMask: FirstPadded)
            .Combines("t1{0:.708217} t2{1:.687131} t5{2:.642616}")
            .Loses("balance", 1.029404);
    }

    [Theory, InlineData("flax.experts_choose"), InlineData("vmoe.top_items_per_expert"), InlineData("zhou.expert_choice")]
    public void Experts_choose(string name) => Golden.Run(Two(name) with { CapacityMultiple = 0 }, Three, 3, training: false)
        .Combines("t1{0:.708217,2:.213311} t2{1:.687131} t3{0:.843795} t4{1:.348207} t5{2:.642616}");

    [Fact]
    public void Noisy_top_k()
    {
        Golden.Run(BuiltIn.Named("t2t.noisy_topk"), Three, 3, training: false, noiseWeight: true)
            .Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{0:.249740,1:.750260} "
                + "t3{0:.880797,2:.119203} t4{0:.622459,1:.377541} t5{1:.289050,2:.710950}")
            .Loses("importance", 0.212352).Loses("load", 0.041667);
        Golden.Run(BuiltIn.Named("t2t.noisy_topk"), Three, 3, noiseWeight: true, draws: new() { Noise = new float[18] }).Loses("load", 0.040982);
    }

    [Fact]
    public void Vmoe_losses() => Golden.Run(BuiltIn.Named("vmoe.top_experts_per_item"), Three, 3, draws: new() { Noise = new float[18] })
        .Loses("importance", 0.163795).Loses("load", 0.124077).Loses("gshard", 1.279048);

    [Fact]
    public void St_moe_counts_kept_first_choices() =>
        Golden.Run(Two("luc.st_moe") with { Threshold = 0 }, Three, 3, draws: new() { Policy = new float[12] }).Loses("balance", 0.759683);

    [Fact]
    public void Nllb()
    {
        var late = Two("hf.nllb_moe.v4") with { CapacityFraction = -1 };
        Golden.Run(late, Three, 3, training: false).Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:1} t5{2:1}");
        Golden.Run(late with { Normalize = Normalize.BeforeDrop }, Three, 3, training: false)
            .Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:.750260} t5{2:.710950}");
        Golden.Run(late with { BatchPrioritized = true }, Three, 3, training: false).Combines("t0{1:1} t1{0:1} t2{1:1} t3{0:.880797,2:.119203} t5{2:1}");
        Golden.Run(late, Three, 3, training: false, tokenMask: LastPadded).Combines("t0{0:.731059,1:.268941} t1{0:.768525,2:.231475} t2{1:1} t3{2:1}");
    }

    // Second table.

    [Theory]
    [InlineData("megatron.topk", "balance", 1.264736077)]
    [InlineData("deepspeed.top2", "balance", 1.498755654)]
    [InlineData("tutel.topk", "balance", 1.498755654)]
    [InlineData("fairseq.top2", "balance", 1.498755654)]
    [InlineData("hf.mixtral", "balance", 2.529472154)]
    public void Balance_losses(string name, string loss, double expected) =>
        Golden.Run(BuiltIn.Named(name) with { Policy = Policy.All }, Four, 4).Loses(loss, expected);

    [Fact]
    public void Softmax_of_a_softmax_looks_balanced() =>
        Golden.Run(BuiltIn.Named("hf.mixtral") with { BalanceMass = BalanceMass.DoubleSoftmax }, Four, 4).Loses("balance", 2.141440070);

    [Fact]
    public void Z_loss() => Golden.Run(BuiltIn.Named("megatron.topk"), Four, 4).Loses("z", 7.015345844);

    [Fact]
    public void Vmoe_importance_and_load() => Golden.Run(BuiltIn.Named("vmoe.top_experts_per_item"), Four, 4, draws: new() { Noise = new float[24] })
        .Loses("importance", .297567493).Loses("load", .229941053).Loses("gshard", 1.498755654);

    [Fact]
    public void Tutel_averages_importance_and_a_load_of_mixed_units() =>
        Golden.Run(
            BuiltIn.Named("tutel.topk") with { NoiseStd = 1, Loss = LossChoice.LoadImportance },
            Four,
            4,
            draws: new() { Noise = new float[24] })
            .Loses("load_importance", (.396756658 + .376244648) / 2);

    [Fact]
    public void Speech_moe()
    {
        var golden = Golden.Run(BuiltIn.Named("speechmoe.top1") with { Router = RouterForm.Linear }, Four, 4);
        golden.Loses("sparsity", 1.586804398).Loses("balance", 1.297567493);
    }

    [Fact]
    public void Remoe()
    {
        var golden = Golden.Run(BuiltIn.Named("remoe.relu") with { K = 2 }, Four, 4).Loses("balance", 6.85);
        Assert.Equal(1.0 / 6, 1 - golden.Result.Plan.Kept / 24.0, 12);
    }

    [Theory]
    [InlineData("flax.tokens_choose_masked", "[0,1][0,1][0,-][1,2][-,2][3,-]")]
    [InlineData("megablocks.dropping", "[0,1][0,1][0,1][-,2][-,2][3,-]")]
    public void Orders_with_three_slots(string name, string expected) =>
        Assert.Equal(expected, KeptOf(Two(name) with { K = 2, Capacity = 3 }));

    static string KeptOf(Dialect dialect) => Kept(Golden.Run(dialect, Four, 4).Result.Plan);

    [Fact]
    public void Batch_prioritised_with_three_slots() =>
        Assert.Equal(
            "[0,1][-,-][0,1][1,2][0,2][3,-]",
            KeptOf(Two("flax.tokens_choose_masked") with { K = 2, Capacity = 3, BatchPrioritized = true }));

    [Fact]
    public void By_score_with_three_slots() =>
        Assert.Equal(
            "[0,1][-,1][0,-][1,2][0,2][3,-]",
            KeptOf(Two("megatron.topk") with { Capacity = 3, Score = Score.Softmax }));

    static string Kept(RoutingPlan plan) => string.Concat(Enumerable.Range(0, plan.Tokens).Select(t =>
        $"[{string.Join(",", Enumerable.Range(t * plan.Choices, plan.Choices).Select(i => plan.Slot[i] < 0 ? "-" : $"{plan.Expert[i]}"))}]"));

    [Fact]
    public void Divided_before_or_after_with_three_slots()
    {
        Golden.Run(Two("deepspeed.top2") with { Capacity = 3, Policy = Policy.All }, Four, 4)
            .Combines("t0{0:.731059,1:.268941} t1{0:.524979,1:.475021} t2{0:1} t3{1:.622459,2:.377541} t4{2:1} t5{3:1}");
        Golden.Run(Two("tutel.topk") with { Capacity = 3 }, Four, 4)
            .Combines("t0{0:.731059,1:.268941} t1{0:.524979,1:.475021} t2{0:.880797} t3{1:.622459,2:.377541} t4{2:.268941} t5{3:.645656}");
    }

    [Fact]
    public void A_bias_selects_and_does_not_weigh()
    {
        double[] bias = [-.3, 0, .1, .4];
        var right = Golden.Run(BuiltIn.Named("torchtitan.topk") with { Normalize = Normalize.Sum }, Four, 4, bias: bias);
        Assert.Equal([1, 3, 3, 1, 3, 2, 2, 1, 2, 3, 3, 2], right.Result.Plan.Expert);
        Assert.Equal([.731059, .268941], right.Gates[..2], new Near(6e-7));
        Assert.Equal([.575235, .424765], right.Gates[10..], new Near(6e-7));
        var wrong = Golden.Run(BuiltIn.Named("torchtitan.topk") with { Normalize = Normalize.Sum, Gate = Gate.BiasedScore }, Four, 4, bias: bias);
        Assert.Equal([.522185, .477815], wrong.Gates[..2], new Near(6e-7));
        Assert.Equal([.639974, .360026], wrong.Gates[10..], new Near(6e-7));
    }

    [Fact]
    public void Bias_updates()
    {
        double[] counts = [0, 3, 4, 5];
        double[] bias = [-.3, 0, .1, .4];
        Assert.Equal([-.299, 0, .099, .399], CorrectionBias.Step(BuiltIn.Named("megatron.topk"), counts, bias), new Near(1e-12));
        Assert.Equal([-.29875, .00025, .09925, .39925], CorrectionBias.Step(BuiltIn.Named("torchtitan.topk"), counts, bias), new Near(1e-12));
    }

    [Fact]
    public void Root_of_softplus()
    {
        var dialect = BuiltIn.Named("hf.deepseek_v4") with { ScalingFactor = 1, Activation = ExpertActivation.Silu };
        Assert.Equal([.55998, .44002], Golden.Run(dialect, Four[..4], 4).Gates, new Near(6e-6));
    }

    [Fact]
    public void Sinkhorn_balances_what_argmax_does_not()
    {
        var call = new RouterCall { Dialect = BuiltIn.Named("megatron.sinkhorn"), Groups = 1, Size = 6, Experts = 4, Training = true };
        var plan = Sinkhorn.Plan(call, Four, out var iterations);
        Assert.Equal(7, iterations);
        Assert.Equal([.059716, .017977, .071794, .017179], plan[16..20], new Near(6e-7));
        var golden = Golden.Run(BuiltIn.Named("megatron.sinkhorn"), Four, 4);
        Assert.Equal([0, 1, 0, 1, 2, 3], golden.Result.Plan.Expert);
        Assert.Equal([.880797, .802184, .924142, .880797, .880797, .710950], golden.Gates, new Near(6e-7));
    }

    [Fact]
    public void The_auction_and_the_optimum()
    {
        double[] three = [.. Enumerable.Range(0, 18).Select(i => Four[i / 3 * 4 + i % 3])];
        double[] two = [.. Enumerable.Range(0, 12).Select(i => Four[i / 2 * 4 + i % 2])];
        int[] By(string name, double[] logits, int experts)
        {
            var dialect = BuiltIn.Named(name) with { Combination = Combination.Gated };
            return Golden.Run(dialect, logits, experts).Result.Plan.Expert;
        }
        foreach (var name in (string[])["fairseq.base", "lewis.base"])
        {
            Assert.Equal([0, 1, 0, 1, 2, 2], By(name, three, 3));
            Assert.Equal([0, 1, 0, 1, 0, 1], By(name, two, 2));
        }
        var stuck = Assert.Throws<RoutingException>(() => By("fairseq.base", two[..10], 2));
        Assert.Contains("never ends", stuck.Message);
    }

    [Fact]
    public void Expert_choice_with_three_slots()
    {
        var plan = Golden.Run(Two("zhou.expert_choice") with { Capacity = 3 }, Four, 4).Result.Plan;
        int[] Tokens(int e)
        {
            var taken = Enumerable.Range(0, plan.Expert.Length).Where(i => plan.Expert[i] == e);
            return [.. taken.OrderBy(i => plan.Slot[i]).Select(i => i / plan.Choices)];
        }
        Assert.Equal(2, Tokens(0)[0]);                                   // tokens 0 and 4 tie but for rounding
        Assert.Equal([0, 2, 4], Tokens(0).Order());
        Assert.Equal([3, 1, 0], Tokens(1));
        Assert.Equal([3, 4, 5], Tokens(2));
        Assert.Equal([5, 1, 2], Tokens(3));
    }

    [Fact]
    public void Group_scores_and_masks_decide()
    {
        // Sum of two finds the second group, the best alone the first; a mask of 0 lets the masked group win over negative scores.
        var limited = BuiltIn.Named("hf.deepseek_v3") with { Groups = 2, K = 1, Score = Score.None, SelectBy = SelectBy.Scores };
        var call = new RouterCall { Dialect = limited, Groups = 1, Size = 1, Experts = 4, Training = false };
        Assert.Equal([2], RouterFromScores.Plan(call, [.9f, .1f, .6f, .6f]).Expert);
        Assert.Equal([0], RouterFromScores.Plan(call with { Dialect = limited with { GroupScore = GroupScore.Max } }, [.9f, .1f, .6f, .6f]).Expert);
        Assert.Equal([2], RouterFromScores.Plan(call, [-.1f, -.4f, -.6f, -.6f]).Expert);
        Assert.Equal([0], RouterFromScores.Plan(call with { Dialect = limited with { GroupMask = GroupMask.MinusInfinity } }, [-.1f, -.4f, -.6f, -.6f]).Expert);
    }

    [Fact]
    public void Negative_logits_lose_to_those_who_did_not_ask()
    {
        var dialect = BuiltIn.Named("deepspeed.topk_2025") with { K = 1, Capacity = 2 };
        var call = new RouterCall { Dialect = dialect, Groups = 1, Size = 4, Experts = 2, Training = true };
        var plan = RouterFromScores.Plan(call, [-1, -3, -2, -3, -1, 2, -1, 2], [.9f, .1f, .7f, .3f, .1f, .9f, .1f, .9f]);
        Assert.Equal([-1, -1, 0, 1], plan.Slot);
    }

    [Theory]
    [InlineData(8, new[] { 0, 4, 2, 6, 1, 5, 3, 7 })]
    [InlineData(64, new[] { 0, 32, 16, 48, 8, 40, 24, 56 })]
    public void Bit_reversed_lanes_win_ties(int experts, int[] expected) =>
        Assert.Equal(expected, Ranking.Top(new double[experts], 8, TieRule.BitReversedLane));

    sealed class Near(double tolerance) : IEqualityComparer<double>
    {
        public bool Equals(double x, double y) => Math.Abs(x - y) <= tolerance;
        public int GetHashCode(double obj) => 0;
    }
}
