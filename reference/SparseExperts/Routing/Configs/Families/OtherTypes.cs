namespace SparseExperts.Routing.Configs.Families;

/// <summary>Rules that no other type shares: routers with a norm, product keys, a null expert, no router at all.</summary>
static class OtherTypes
{
    static ModelType Gemma => new()
    {
        Name = "gemma4_text",
        Also = ["gemma4"],
        Classes = ["Gemma4"],
        Dialect = "hf.gemma4",
        Rule = "the router reads a norm of the residual; softmax, its k best, divided by their sum, times a learned scale of the expert; a dense MLP beside",
        Experts = Keys.Experts("num_experts", null),
        Settings =
        [
            Keys.Choices("top_k_experts", null), Keys.Number("router_norm_epsilon", "rms_norm_eps", 1e-6), Keys.Activation("hidden_activation", "gelu_tanh"),
        ],
        Besides = ["enable_moe_block"],
        Dense = part => part.IsTrue("enable_moe_block") ? null : "enable_moe_block is not true",
    };

    public static IReadOnlyList<ModelType> All { get; } =
    [
        Gemma,
        Gemma with
        {
            Name = "diffusion_gemma_text",
            Also = ["diffusion_gemma"],
            Classes = ["DiffusionGemma"],
            Dialect = "hf.diffusion_gemma",
            Besides = [],
            Dense = null,
        },
        new()
        {
            Name = "zaya",
            Classes = ["Zaya"],
            Dialect = "hf.zaya",
            Rule = "an MLP with the previous layer's state as router; softmax, the best of it plus a bias; the last expert is none",
            Experts = Keys.Experts("num_experts", 16),
            Settings =
            [
                Keys.Choices(1) with { Read = Read.Exactly(1) },
                Keys.Rule("null_experts", 1),
                Keys.Number("router_norm_epsilon", "rms_norm_eps", 1e-5),
                Keys.Activation(),
            ],
        },
        new()
        {
            Name = "doge",
            Classes = ["Doge"],
            Dialect = "hf.doge",
            Rule = "product keys, the k largest logits, softmax over them; experts of one neuron, shared expert",
            Experts = Keys.Experts("num_experts", 16384),
            Settings =
            [
                Keys.Choices(64),
                Keys.Experts("num_experts", 16384) with { Parameter = "product_keys", Read = Read.RootOf },
                Keys.Balance(0.001),
                Keys.Activation(),
            ],
            Besides = ["is_moe", "norm_topk_prob"],
            Note = part => part.IsTrue("is_moe") ? null : "is_moe is not true: the model has no such layer until it is",
        },
        new()
        {
            Name = "vitpose_backbone",
            Also = ["vitpose"],
            Classes = ["VitPoseBackbone", "VitPose"],
            Dialect = "hf.vitpose_backbone",
            Rule = "the expert is the image's data set; no router",
            Experts = Keys.Experts("num_experts", 1),
            Settings = [Keys.Rule("k", 1), Keys.Activation("hidden_act", "gelu_erf")],
            Dense = part => part.First(["num_experts"]) is { Value: var count } && count!.ToJsonString() != "1" ? null : "num_experts is 1 (the default)",
        },
    ];
}
