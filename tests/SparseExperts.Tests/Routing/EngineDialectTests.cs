using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Routers of inference engines, and options of trainers, on the table of <see cref="GoldenVectorTests"/>: each number follows by hand.</summary>
public sealed class EngineDialectTests
{
    static readonly double[] Three = [2, 1, 0, 2.2, 0, 1, 1, 2.1, 0];

    [Fact]
    public void Balanced_load_goes_round_the_experts_with_weight_1() =>
        Golden.Run(BuiltIn.Named("trtllm.load_balanced"), Three, 3).Combines("t0{0:1,1:1} t1{0:1,2:1} t2{1:1,2:1}");

    /// <summary>Row t of the table says who computes token t, the numbers beside it how much; without them each counts once.</summary>
    [Theory]
    [InlineData(true, new[] { .5, .25, 2, -1 })]
    [InlineData(false, new[] { 1.0, 1, 1, 1 })]
    public void Static_routes_come_from_a_row_a_token(bool hasGates, double[] gates)
    {
        CaseTensor table = new("router.table", "I32", [2, 2], [2, 0, 1, 1]);
        CaseTensor[] more = hasGates ? [table, new("router.table_gates", "F32", [2, 2], [.5, .25, 2, -1])] : [table];
        using var backend = new ScalarBackend<Float32>();
        CaseTensor[] experts =
        [
            new("x", "F32", [1, 2, 1], [1, 1]),
            new("experts.wi", "F32", [3, 1, 1], [1, 1, 1]),
            new("experts.wi_gate", "F32", [3, 1, 1], [1, 1, 1]),
            new("experts.wo", "F32", [3, 1, 1], [1, 2, 3]),
        ];
        var answer = CaseAnswers.Fill(Case.Create("trtllm.static", "eval", experts.Concat(more), []), backend);
        Assert.Equal([2, 0, 1, 1], answer.Get("claim.expert").Values);
        Near(gates, answer, "claim.gate");
        const double silu = .7310586;
        Near([silu * (3 * gates[0] + gates[1]), silu * 2 * (gates[2] + gates[3])], answer, "claim.y");
    }

    [Theory]
    [InlineData("trtllm.static", 3, "router.table has 3 rows, the call 1 tokens; give one row a token")]
    [InlineData("hf.mixtral", 1, "hf.mixtral does not read router.table; remove it, or name a dialect with selection hash_table or place_table")]
    public void A_table_that_does_not_fit_is_refused(string dialect, int rows, string message)
    {
        var table = new CaseTensor("router.table", "I32", [rows, 2], new double[2 * rows]);
        var refused = Assert.Throws<CaseException>(() => Answer(dialect, [2, 1, 0], [], table));
        Assert.Contains(message, refused.Message);
    }

    /// <summary>Of two shared experts that are choices each has the others' sum: 1 where they are divided, so that y is both.</summary>
    [Fact]
    public void Several_shared_experts_that_are_choices_have_a_gate_each()
    {
        var parameters = new JsonObject { ["shared_choices"] = 2, ["normalize"] = "none" };
        var several = Answer("sglang.fused_shared", [2, 1, 0], parameters, new("shared.wi", "F32", [2, 1, 3], [1, 0, 0, 0, 1, 0]),
            new("shared.wi_gate", "F32", [2, 1, 3], [1, 0, 0, 0, 1, 0]), new("shared.wo", "F32", [2, 3, 1], [1, 0, 0, 0, 0, 1]));
        Near([1.611856, 1.611856], several, "claim.shared_gate");
        Near([5.678871, 0, 1.611856 * .731059], several, "claim.y");                     // 2·silu(2), silu(1)
        CaseTensor Both(string name, params long[] shape) => new(name, "F32", shape, new double[6]);
        CaseTensor[] both = [Both("shared.wi", 2, 1, 3), Both("shared.wi_gate", 2, 1, 3), Both("shared.wo", 2, 3, 1)];
        var refused = Assert.Throws<CaseException>(() => Answer("sglang.fused_shared", [2, 1, 0], [], both));
        Assert.Contains("shared.wi holds 2 shared experts, sglang.fused_shared has 1; set shared_choices, or give so many", refused.Message);
    }

    /// <summary>A single choice of DeepSeek-V4.1 is not divided by itself: 1.5·√softplus(2).</summary>
    [Fact]
    public void A_single_choice_of_V41_keeps_its_score() =>
        Near([1.5 * 1.458399], Answer("deepseek.v41", [2, 1, 0], new() { ["k"] = 1 }, new("router.correction_bias", "F32", [3], [0, 0, 0]),
            new("router.correction_bias.images", "F32", [3], [0, 0, 0]), new("task_ids", "I32", [1, 1], [0])), "claim.gate");

    /// <summary>σ(2), σ(1); σ(1), σ(2.2); σ(2.1), σ(0).</summary>
    [Fact]
    public void Forced_balance_of_a_trainer_keeps_the_scores_of_the_experts_that_it_goes_round() =>
        Golden.Run(BuiltIn.Named("torchtitan.topk") with { ForceBalance = true }, Three, 3)
            .Combines("t0{0:.880797,1:.731059} t1{0:.900250,2:.731059} t2{1:.890903,2:.5}");

    /// <summary>
    /// σ(2) + σ(1) = 1.611856 over 2.5, over itself, times 2.5 is 1; undivided it is 1.611856, and the shared expert's 2·silu(2) = 3.523188 counts so often.
    /// </summary>
    [Theory]
    [InlineData("sum", new[] { 1.366123, 1.133877 }, 1, 3.523188)]
    [InlineData("none", new[] { 2.201993, 1.827646 }, 1.611856, 5.678871)]
    public void A_shared_expert_that_is_a_choice_weighs_what_the_others_do_together(string normalize, double[] gates, double shared, double y)
    {
        var answer = Answer("sglang.fused_shared", [2, 1, 0], new() { ["normalize"] = normalize });
        Near(gates, answer, "claim.gate");
        Near([shared], answer, "claim.shared_gate");
        Near([y, 0, 0], answer, "claim.y");
    }

    /// <summary>
    /// √softplus of 2, 1, 0 is 1.458, 1.146, 0.833: with no bias experts 0 and 1 are chosen, and with 1 for the last 2 and 0, whose gates are without it:
    /// 1.5 · 1.458399 / (1.458399 + 0.832555) = 0.954886 and 0.545114.
    /// </summary>
    [Fact]
    public void Images_are_chosen_with_a_bias_of_their_own()
    {
        var answer = Answer("deepseek.v41", [2, 1, 0, 2, 1, 0], [], new("task_ids", "I32", [1, 2], [0, 1]),
            new("router.correction_bias", "F32", [3], [0, 0, 0]), new("router.correction_bias.images", "F32", [3], [0, 0, 1]));
        Assert.Equal([0, 1, 2, 0], answer.Get("claim.expert").Values);
        Near([.839971, .660029, .545114, .954886], answer, "claim.gate");
    }

    /// <summary>Text takes 0 and 1, the image 2 and 0: the bias of text sees 1, 1, 0 tokens in training, where all together are 2, 1, 1.</summary>
    [Fact]
    public void The_bias_of_text_does_not_count_images()
    {
        var answer = Answer("deepseek.v41", [2, 1, 0, 1, 0, 2], [], new("task_ids", "I32", [1, 2], [0, 1]),
            new("router.correction_bias", "F32", [3], [0, 0, 0]), new("router.correction_bias.images", "F32", [3], [0, 0, 0]));
        Near([-.001, -.001, .001], answer, "claim.correction_bias");
    }

    /// <summary>
    /// Three experts, k = 3, k_least = 1. Softmax of 2, 1, 0 is .665241, .244728, .090031 with entropy .832392; of 0, 0, 0 ln 3 = 1.098612; of 9, 0, 0 .002468:
    /// half-way (2 choices: over .909969), all of them, the fewest.
    /// </summary>
    [Fact]
    public void The_entropy_of_a_token_says_how_many_experts_it_takes() =>
        Golden.Run(BuiltIn.Named("trtllm.adaptive_k") with { K = 3, KLeast = 1, Threshold = .5, UpperThreshold = 1 }, [2, 1, 0, 0, 0, 0, 9, 0, 0], 3)
            .Combines("t0{0:.731059,1:.268941} t1{0:.333333,1:.333333,2:.333333} t2{0:1}");

    /// <summary>One token a row of three logits, which are its numbers; experts that give nothing and a shared one that gives (x₀·silu(x₀), 0, 0).</summary>
    static Case Answer(string dialect, double[] logits, JsonObject parameters, params CaseTensor[] more)
    {
        using var backend = new ScalarBackend<Float32>();
        CaseTensor[] tensors =
        [
            new("x", "F32", [1, logits.Length / 3, 3], logits),
            new("router.weight", "F32", [3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]),
            new("experts.wi", "F32", [3, 1, 3], new double[9]),
            new("experts.wi_gate", "F32", [3, 1, 3], new double[9]),
            new("experts.wo", "F32", [3, 3, 1], new double[9]),
            new("shared.wi", "F32", [1, 3], [1, 0, 0]),
            new("shared.wi_gate", "F32", [1, 3], [1, 0, 0]),
            new("shared.wo", "F32", [3, 1], [1, 0, 0]),
        ];
        var others = tensors.Where(t => more.All(m => m.Name != t.Name));
        return CaseAnswers.Fill(Case.Create(dialect, "train", others.Concat(more), parameters), backend);
    }

    static void Near(double[] expected, Case answer, string claim)
    {
        var values = answer.Get(claim).Values;
        Assert.Equal(expected.Length, values.Length);
        for (var i = 0; i < values.Length; i++) Assert.InRange(values[i], expected[i] - 1e-6, expected[i] + 1e-6);
    }
}
