using SparseExperts.Conformance;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Every value of every axis changes something that comes out; an axis that nobody reads, and a value that is read as another, are named.</summary>
public sealed class AxisLawTests
{
    static readonly Dialect Blank = new() { Name = "", Summary = "", Source = "", Evidence = Evidence.Paper, Parameters = [] };

    public static TheoryData<string> Axes() => [.. DialectAxis.All.Select(a => a.Name)];

    [Theory, MemberData(nameof(Axes))]
    public void Every_value_changes_something(string axis)
    {
        var dead = AxisLaw.Find(DialectAxis.Find(axis)!);
        Assert.True(dead is null, dead);
    }

    /// <summary>What layers of other kinds than the routed one claim to read, but for what each knows one value of.</summary>
    public static IEnumerable<object[]> Readings() =>
        from kind in Enum.GetValues<LayerKind>()
        where kind != LayerKind.Routed
        from reading in LayerAxes.Of(kind)
        where reading.Only.Count != 1 && reading.Axis.Name != "selection"
        select new object[] { kind, reading.Axis.Name };

    [Theory, MemberData(nameof(Readings))]
    public void Every_value_that_a_kind_of_layer_knows_changes_what_it_computes(LayerKind kind, string axis)
    {
        var dead = AxisLaw.Find(DialectAxis.Find(axis)!, kind);
        Assert.True(dead is null, dead);
    }

    /// <summary>An engine that takes one axis for what a dialect has that says nothing.</summary>
    [Theory]
    [InlineData("eval_normalize", "dts.gumbel")]
    [InlineData("normalize", "lingvo.top2")]
    [InlineData("bias_centred", "torchtitan.topk")]
    [InlineData("group_split", "flax.tokens_choose_masked")]
    [InlineData("jitter_reach", "hf.mixtral")]
    [InlineData("ties", "t2t.local_moe_tpu")]
    [InlineData("balance_tokens", "hf.mixtral")]
    [InlineData("layer_reduction", "hf.mixtral")]
    [InlineData("threshold", "mesh.top_2")]
    [InlineData("router_norm", "hf.gemma4")]
    [InlineData("router_norm_epsilon", "hf.zaya")]
    [InlineData("router_input_scale", "hf.gemma4")]
    [InlineData("expert_scale", "hf.gemma4")]
    [InlineData("global_scale", "hf.inkling")]
    [InlineData("key_split", "hf.doge")]
    [InlineData("logits_scale", "hf.muse_spark")]
    [InlineData("logits_softcap", "hf.laguna")]
    [InlineData("null_experts", "hf.zaya")]
    [InlineData("experts_in_norm", "hf.muse_spark")]
    [InlineData("experts_in_norm_epsilon", "hf.muse_spark")]
    [InlineData("experts_post_norm", "hf.muse_spark")]
    [InlineData("experts_post_norm_epsilon", "hf.muse_spark")]
    [InlineData("output_bias", "hf.jetmoe")]
    [InlineData("output_scaling_factor", "hf.laguna")]
    [InlineData("activation_gate_softcap", "hf.inkling2")]
    [InlineData("activation_up_softcap", "hf.inkling2")]
    [InlineData("shared_activation_limit", "hf.step3p7")]
    [InlineData("balance_level", "megatron.topk")]
    [InlineData("previous_batches", "megatron.topk")]
    [InlineData("sequence_balance_coefficient", "megatron.topk")]
    [InlineData("global_balance_coefficient", "megatron.topk")]
    [InlineData("pad_to_capacity", "megatron.topk")]
    [InlineData("bias_tokens", "megatron.topk")]
    [InlineData("force_balance", "torchtitan.topk")]
    [InlineData("shared_choices", "sglang.fused_shared")]
    [InlineData("bias_of_images", "deepseek.v41")]
    [InlineData("k_least", "trtllm.adaptive_k")]
    [InlineData("upper_threshold", "trtllm.adaptive_k")]
    public void An_axis_whose_reader_is_removed_is_named(string axis, string dialect)
    {
        var subject = DialectAxis.Find(axis)!;
        Dialect[] scenes = [BuiltIn.Named(dialect)];
        Assert.StartsWith($"{axis}: nothing tells", AxisLaw.Find(subject, d => subject.With(d, subject.ToJson(Blank)?.DeepClone(), "saboteur"), scenes));
    }

    /// <summary>A layer of another kind that claims an axis and takes its default instead.</summary>
    [Theory]
    [InlineData(LayerKind.TwoLevelRouter, "noise_epsilon")]
    [InlineData(LayerKind.TwoLevelRouter, "shared_expert")]
    [InlineData(LayerKind.BinaryCode, "entropy_coefficient")]
    [InlineData(LayerKind.Soft, "capacity_rounding")]
    public void A_claim_of_a_kind_of_layer_that_is_none_is_named(LayerKind kind, string axis)
    {
        var subject = DialectAxis.Find(axis)!;
        var dead = AxisLaw.Find(subject, kind, d => subject.With(d, subject.ToJson(Blank)?.DeepClone(), "saboteur"));
        Assert.StartsWith($"{kind}: {axis}: nothing tells", dead);
    }

    /// <summary>What the reader took for "none" until it was mended.</summary>
    [Fact]
    public void A_value_that_is_read_as_another_is_named()
    {
        Dialect[] scenes = [BuiltIn.Named("tutel.topk") with { NoiseStd = 1, LoadCoefficient = 0.5 }];
        var dead = AxisLaw.Find(DialectAxis.Find("load")!, d => d.Load == LoadLoss.OneThreshold ? d with { Load = LoadLoss.None } : d, scenes);
        Assert.Equal("load: nothing tells none from one_threshold", dead);
    }

    [Fact]
    public void Every_exception_has_a_reason_and_is_one() => Assert.All(AxisLaw.Documentation, e =>
    {
        Assert.True(e.Reason.Length > 20, e.Axis);
        var names = AxisLaw.Values(DialectAxis.Find(e.Axis)!).Select(v => v?.ToString() ?? "null").ToArray();
        Assert.Contains(e.A, names);
        Assert.Contains(e.B, names);
    });

    /// <summary>Every neighbour of a dialect runs on its probes or says in a line why it cannot.</summary>
    [Theory]
    [InlineData("mesh.top_2")]
    [InlineData("megatron.topk")]
    [InlineData("flax.tokens_choose_scatter")]
    [InlineData("hf.deepseek_v3")]
    [InlineData("deepspeed.topk")]
    [InlineData("hf.gpt_oss")]
    [InlineData("hf.longcat_flash")]
    [InlineData("mesh.two_level")]
    [InlineData("remoe.relu")]
    [InlineData("clark.rl_r")]
    public void No_neighbour_dies(string dialect)
    {
        var subject = BuiltIn.Named(dialect);
        Assert.Empty(AxisLaw.Deaths(subject, Neighbours.Of(subject)));
    }
}
