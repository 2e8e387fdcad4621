namespace SparseExperts.Routing.Configs.Families;

/// <summary>Softmax over all experts, the k best of it: Mixtral and what follows it.</summary>
static class SoftmaxTypes
{
    const string Divided = "softmax, its k best, divided by their sum", Switchable = "softmax, its k best, divided by their sum if norm_topk_prob";

    public static IReadOnlyList<ModelType> All { get; } =
    [
        new()
        {
            Name = "mixtral",
            Classes = ["Mixtral"],
            Dialect = "hf.mixtral",
            Rule = Divided,
            Experts = Keys.Experts("num_local_experts", 8),
            Settings = [Keys.Choices(2), Keys.Jitter(0), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "minimax",
            Also = ["minimax_text_01"],
            Classes = ["MiniMax", "MiniMaxText01"],
            Dialect = "hf.minimax",
            Rule = Divided,
            Experts = Keys.Experts("num_local_experts", 8),
            Settings = [Keys.Choices(2), Keys.Jitter(0), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "olmoe",
            Classes = ["Olmoe"],
            Dialect = "hf.olmoe",
            Rule = Switchable,
            Experts = Keys.Experts("num_experts", 64),
            Settings = [Keys.Choices(8), Keys.Sum(false), Keys.Balance(0.01), Keys.Activation()],
        },
        new()
        {
            Name = "flex_olmo",
            Classes = ["FlexOlmo"],
            Dialect = "hf.flex_olmo",
            Rule = Switchable,
            Experts = Keys.Experts("num_experts", 7),
            Settings = [Keys.Choices(5), Keys.Sum(false), Keys.Balance(0.01), Keys.Activation()],
        },
        new()
        {
            Name = "mellum",
            Classes = ["Mellum"],
            Dialect = "hf.mellum",
            Rule = Switchable,
            Experts = Keys.Experts("num_local_experts", 64),
            Settings = [Keys.Choices(8), Keys.Sum(true), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "lara_mini",
            Classes = ["LaraMini"],
            Dialect = "hf.lara_mini",
            Rule = Switchable + "; shared expert",
            Experts = Keys.Experts("num_experts", 128),
            Settings = [Keys.Choices(4), Keys.Sum(true), Keys.Balance(0.001), Keys.Activation()],
        },
        new()
        {
            Name = "jamba",
            Classes = ["Jamba"],
            Dialect = "hf.jamba",
            Rule = "softmax, its k best, never divided",
            Experts = Keys.Experts("num_experts", 16),
            Settings = [Keys.Choices(2), Keys.Balance(0.001), Keys.Activation()],
            Dense = part => part.First(["num_experts"])?.Value?.ToJsonString() == "1" ? "num_experts is 1" : null,
        },
        new()
        {
            Name = "dbrx",
            Classes = ["Dbrx"],
            Dialect = "hf.dbrx",
            Rule = "softmax, its k best, divided by a p-norm",
            Experts = new("experts", ["ffn_config.moe_num_experts", "moe_num_experts", "num_experts", "num_local_experts"], 4, Read.Count),
            Settings =
            [
                new("k", ["ffn_config.moe_top_k", "moe_top_k", "num_experts_per_tok"], 1, Read.Count),
                new("normalize", ["ffn_config.moe_normalize_expert_weights", "moe_normalize_expert_weights"], 1.0, Read.Norm) { NullCounts = true },
                new("jitter", ["ffn_config.moe_jitter_eps", "moe_jitter_eps"], null, Read.Number) { Optional = true },
                new("balance_coefficient", ["ffn_config.moe_loss_weight", "moe_loss_weight", "router_aux_loss_coef"], 0.01, Read.Number),
            ],
        },
        new()
        {
            Name = "hunyuan_v1_moe",
            Classes = ["HunYuanMoEV1"],
            Dialect = "hf.hunyuan_v1_moe",
            Rule = Divided + "; shared expert",
            Experts = Keys.Experts("num_experts", 1) with { Read = Read.CountOfLayers },
            Settings = [Keys.Choices("moe_topk", 1) with { Read = Read.CountOfLayers }, Keys.Activation()],
            Fixed =
            [
                new("norm_topk_prob", true), new("moe_drop_tokens", false), new("moe_random_routing_dropped_token", false), new("use_mixed_mlp_moe", false),
            ],
        },
        new()
        {
            Name = "ernie4_5_moe",
            Classes = ["Ernie4_5_Moe"],
            Dialect = "hf.ernie4_5_moe",
            Rule = "softmax, the k best of it plus a bias, divided by their sum; shared expert",
            Experts = Keys.Experts("moe_num_experts", 64),
            Settings = [Keys.Choices("moe_k", 6), Keys.Balance(0.001), Keys.Activation()],
            Fixed = [new("moe_norm_min", 1e-12), new("moe_use_aux_free", true), new("moe_gate", "topk")],
        },
        new()
        {
            Name = "ernie4_5_vl_moe_text",
            Also = ["ernie4_5_vl_moe", "ernie4_5_moe_vl"],
            Classes = ["Ernie4_5_VLMoe", "Ernie4_5_VL_Moe", "Ernie4_5_VLMoeText"],
            Dialect = "hf.ernie4_5_vl_moe",
            Rule = "softmax, the k best of it plus a bias, divided by their sum; routers and experts of text and of images apart, one shared expert",
            Experts = Keys.Experts("moe_num_experts", 64) with { Read = Read.CountOfLayers },
            Settings = [Keys.Choices("moe_k", 6), Keys.Balance(0.001), Keys.Activation()],
            Fixed = [new("moe_norm_min", 1e-12), new("moe_use_aux_free", true), new("moe_gate", "topk")],
        },
        new()
        {
            Name = "longcat_flash",
            Classes = ["LongcatFlash"],
            Dialect = "hf.longcat_flash",
            Rule = "softmax over routed and zero experts, the k best of it plus a bias, scaled; zero experts return their input",
            Experts = Keys.Experts("n_routed_experts", 512),
            Settings =
            [
                Keys.Choices("moe_topk", 12), new("identity_experts", ["zero_expert_num"], 256, Read.CountOrNone), Keys.Scale(6.0), Keys.Activation(),
            ],
            Fixed = [new("zero_expert_type", "identity"), new("norm_topk_prob", false), new("router_bias", false)],
        },
        new()
        {
            Name = "phimoe",
            Classes = ["Phimoe"],
            Dialect = "hf.phimoe",
            Rule = "SparseMixer: the largest logit, then the largest of the rest, each over the logits near it",
            Experts = Keys.Experts("num_local_experts", 16),
            Settings =
            [
                Keys.Choices(2) with { Read = Read.Exactly(2) },
                Keys.Number("threshold", "router_jitter_noise", 0.01),
                Keys.Balance(0.001),
                Keys.Activation(),
            ],
            Fixed = [new("input_jitter_noise", 0.0)],
        },
    ];
}
