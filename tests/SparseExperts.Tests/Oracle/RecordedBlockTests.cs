using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Blocks recorded by <c>record_layer</c> (<c>python/test_moe_record.py</c> writes the files): packed and single experts, transposed and interleaved ones,
/// shared experts, a correction bias in bfloat16, a capacity, routers and experts of a form of their own; in bfloat16 with every rounding that an eager
/// engine makes: of a product before its bias, of each part of a gradient that several ops hand in, of their sum, of the products in a gate's gradient. They
/// agree with every claim, and no claim can be another without being the culprit.
/// </summary>
public sealed class RecordedBlockTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Oracle", "recorded");

    static Verdict Check(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend);
    }

    static Case Load(string name) => Case.Load(Path.Combine(Folder, $"{name}.safetensors"));

    const string Usual = "logits expert gate y grad.x grad.router.weight", Each = " grad.experts.wi_gate grad.experts.wi grad.experts.wo",
        Packed = " grad.experts.gate_up grad.experts.wo", Shared = " grad.shared.wi_gate grad.shared.wi grad.shared.wo",
        Biases = " grad.router.bias grad.experts.gate_up_bias grad.experts.bo",
        Mlp = " router_state grad.router.down.weight grad.router.down.bias grad.router.previous grad.router.previous_scale grad.router.mlp.norm"
            + " grad.router.mlp.w1 grad.router.mlp.b1 grad.router.mlp.w2 grad.router.mlp.b2";

    [Theory]
    [InlineData("qwen2_moe-5", Usual + Packed + Shared + " grad.shared.gate")]
    [InlineData("mixtral-4", Usual + Each)]
    [InlineData("deepseek_v3-5-bf16", Usual + Packed + Shared)]
    [InlineData("gpt_oss-5", Usual + Packed + Biases)]
    [InlineData("switch-4", Usual + " capacity slot grad.experts.wi grad.experts.wo")]
    [InlineData("aria", Usual + Packed + Shared)]
    [InlineData("axk1", Usual + Packed + Shared)]
    [InlineData("gemma4", "scores expert gate y grad.x grad.router.weight grad.experts.x grad.router.norm grad.router.expert_scale" + Packed)]
    [InlineData("inkling", Usual + Packed + Shared + " shared_gate grad.router.shared_weight grad.router.global_scale")]
    [InlineData("minimax_m3_vl", Usual + Packed + Shared)]
    [InlineData("zaya", Usual + Packed + Mlp)]
    [InlineData("gpt_oss-5-bf16", Usual + Packed + Biases)]
    [InlineData("gpt_oss-5-bf16-y", Usual + Packed + Biases)]
    [InlineData("longcat_flash-bf16", "expert gate y grad.x grad.router.weight" + Packed)]
    [InlineData("cast-gates-bf16", "expert gate y grad.x grad.router.weight" + Packed)]
    public void Recorded_blocks_claim_everything_and_agree(string name, string claims)
    {
        var verdict = Check(Load(name));
        Assert.Equal(Outcome.Agrees, verdict.Outcome);
        var claimed = verdict.Stages.Where(s => s.Outcome != Outcome.NotClaimed).Select(s => s.Stage);
        Assert.Equal(claims.Split(' ').Order(StringComparer.Ordinal), claimed.Order(StringComparer.Ordinal));
    }

    /// <summary>Blocks of transformers 5.17 itself, with random weights, recorded by <c>python/check_transformers.py</c>.</summary>
    [Theory]
    [InlineData("aria", 11)]
    [InlineData("axk1", 11)]
    [InlineData("gemma4", 11)]
    [InlineData("gpt_oss-bf16", 11)]
    [InlineData("inkling", 14)]
    [InlineData("longcat_flash", 7)]
    [InlineData("minimax_m3_vl", 11)]
    [InlineData("zaya", 18)]
    public void Blocks_of_the_library_agree(string name, int claims)
    {
        var verdict = Check(Load(Path.Combine("transformers-5.17", name)));
        Assert.Equal(Outcome.Agrees, verdict.Outcome);
        Assert.Equal(claims, verdict.Stages.Count(s => s.Outcome != Outcome.NotClaimed));
    }

    [Theory]
    [InlineData("qwen2_moe-5")]
    [InlineData("mixtral-4")]
    [InlineData("deepseek_v3-5-bf16")]
    [InlineData("gpt_oss-5")]
    [InlineData("switch-4")]
    [InlineData("aria")]
    [InlineData("axk1")]
    [InlineData("gemma4")]
    [InlineData("inkling")]
    [InlineData("minimax_m3_vl")]
    [InlineData("zaya")]
    [InlineData("gpt_oss-5-bf16")]
    [InlineData("longcat_flash-bf16")]
    public void Every_claim_that_is_a_quarter_off_is_the_culprit(string name)
    {
        var file = Load(name);
        var claims = file.Tensors.Where(t => t.Name.StartsWith("claim.", StringComparison.Ordinal) && t.DType != "I32").ToArray();
        Assert.True(claims.Length >= 7);
        foreach (var claim in claims)
        {
            var culprit = Check(file.With(claim with { Values = Array.ConvertAll(claim.Values, v => 1.25 * v) })).Culprit?.Stage;
            var stage = claim.Name["claim.".Length..];
            var fused = stage.Replace("experts.wi_gate", "experts.gate_up").Replace("experts.wi", "experts.gate_up")
                .Replace("experts.bi_gate", "experts.gate_up_bias").Replace("experts.bi", "experts.gate_up_bias");
            Assert.True(culprit == stage || culprit == fused, $"{claim.Name}: {culprit ?? "nothing"} differs");
        }
    }

    /// <summary>What the recorder says of the block matters.</summary>
    [Theory]
    [InlineData("mixtral-4", "experts.wi", "y")]
    [InlineData("gpt_oss-5", "router.bias", "logits")]
    [InlineData("deepseek_v3-5-bf16", "shared.wo", "y")]
    public void A_weight_that_is_not_the_blocks_is_found_where_it_is_used_first(string name, string weight, string stage)
    {
        var file = Load(name);
        var tensor = file.Get(weight);
        Assert.Equal(stage, Check(file.With(tensor with { Values = Array.ConvertAll(tensor.Values, v => -2 * v) })).Culprit?.Stage);
    }
}
