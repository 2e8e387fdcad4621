namespace SparseExperts.Routing.Configs.Families;

/// <summary>Qwen: softmax over all experts, the k best, divided or not; some with a shared expert behind a sigmoid gate.</summary>
static class QwenTypes
{
    const string Switchable = "softmax, its k best, divided by their sum if norm_topk_prob", Always = "softmax, its k best, divided by their sum",
        Gated = "; shared expert behind a sigmoid gate";

    public static IReadOnlyList<ModelType> All { get; } =
    [
        new()
        {
            Name = "qwen2_moe",
            Classes = ["Qwen2Moe"],
            Dialect = "hf.qwen2_moe",
            Rule = Switchable + Gated,
            Experts = Keys.Experts("num_experts", 60),
            Settings = [Keys.Choices(4), Keys.Sum(false), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "qwen3_moe",
            Classes = ["Qwen3Moe"],
            Dialect = "hf.qwen3_moe",
            Rule = Switchable,
            Experts = Keys.Experts("num_local_experts", 128),
            Settings = [Keys.Choices(8), Keys.Sum(false), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "qwen3_next",
            Classes = ["Qwen3Next"],
            Dialect = "hf.qwen3_next",
            Rule = Switchable + Gated,
            Experts = Keys.Experts("num_experts", 512),
            Settings = [Keys.Choices(10), Keys.Sum(true), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "qwen3_5_moe_text",
            Also = ["qwen3_5_moe"],
            Classes = ["Qwen3_5Moe"],
            Dialect = "hf.qwen3_5_moe",
            Rule = Always + Gated,
            Experts = Keys.Experts("num_experts", 256),
            Settings = [Keys.Choices(8), Keys.Balance(0.001), Keys.Activation()],
            Fixed = [new("norm_topk_prob", true)],
        },
        new()
        {
            Name = "qwen3_vl_moe_text",
            Also = ["qwen3_vl_moe"],
            Classes = ["Qwen3VLMoe"],
            Dialect = "hf.qwen3_vl_moe",
            Rule = Always,
            Experts = Keys.Experts("num_local_experts", 60),
            Settings = [Keys.Choices(4), Keys.Balance(0.001), Keys.Activation()],
            Fixed = [new("norm_topk_prob", true)],
        },
        new()
        {
            Name = "qwen3_omni_moe_text",
            Also = ["qwen3_omni_moe", "qwen3_omni_moe_thinker"],
            Classes = ["Qwen3OmniMoe"],
            Dialect = "hf.qwen3_omni_moe",
            Rule = Switchable,
            Experts = Keys.Experts("num_experts", 128),
            Settings = [Keys.Choices(8), Keys.Sum(true), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "qwen3_omni_moe_talker_text",
            Also = ["qwen3_omni_moe_talker"],
            Classes = ["Qwen3OmniMoeTalker"],
            Dialect = "hf.qwen3_omni_moe",
            Rule = Switchable + Gated,
            Experts = Keys.Experts("num_local_experts", 128),
            Settings = [Keys.Choices(8), Keys.Sum(false), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "qwen4_exp_text",
            Also = ["qwen4_exp"],
            Classes = ["Qwen4Exp"],
            Dialect = "hf.qwen4_exp",
            Rule = Switchable + Gated,
            Experts = Keys.Experts("num_experts", 512),
            Settings = [Keys.Choices(10), Keys.Sum(true), Keys.Balance(0.001), Keys.Activation()],
        },
    ];
}
