namespace SparseExperts.Routing.Configs.Families;

/// <summary>DeepSeek-V2's rule (softmax, scaled, never divided, groups by their best expert) and V4's (√softplus).</summary>
static class DeepSeekTypes
{
    const string Rule = "softmax, its k best, of the best groups if group_limited_greedy, scaled and never divided; shared experts";

    static ModelType V2 => new()
    {
        Name = "deepseek_v2",
        Also = ["deepseek_vl_v2"],
        Classes = ["DeepseekV2", "DeepseekVLV2"],
        Dialect = "hf.deepseek_v2",
        Rule = Rule,
        Experts = Keys.Experts("n_routed_experts", 64),
        Settings = Limited(null, null, null),
        Fixed = [new("topk_method", "greedy", "group_limited_greedy"), new("scoring_func", "softmax"), new("norm_topk_prob", false)],
    };

    /// <summary>Groups count only where the method asks for them.</summary>
    static Setting[] Limited(int? choices, int? groups, int? kept) =>
    [
        Keys.Choices(choices),
        Keys.Scale(1.0),
        .. Keys.Groups(groups, kept, "zero", "max", part => part.First(["topk_method"])?.Value?.ToString() == "group_limited_greedy"),
        Keys.Activation(),
    ];

    public static IReadOnlyList<ModelType> All { get; } =
    [
        V2,
        V2 with
        {
            Name = "deepseek_ocr2_text",
            Also = ["deepseek_ocr2"],
            Classes = ["DeepseekOcr2"],
            Dialect = "hf.deepseek_ocr2",
        },
        V2 with
        {
            Name = "unlimited_ocr_text",
            Also = ["unlimited_ocr"],
            Classes = ["UnlimitedOcr"],
            Dialect = "hf.unlimited_ocr",
            Settings = Limited(6, 1, 1),
        },
        new()
        {
            Name = "deepseek_v4",
            Classes = ["DeepseekV4"],
            Dialect = "hf.deepseek_v4",
            Rule = "√softplus, the k best of it plus a bias, divided by their sum, scaled; limited experts, the shared one too",
            Experts = Keys.Experts("n_routed_experts", 256),
            Settings =
            [
                Keys.Choices(6),
                new("score", ["scoring_func"], "sqrtsoftplus", Read.Word(("sqrtsoftplus", "sqrtsoftplus"), ("softmax", "softmax"), ("sigmoid", "sigmoid"))),
                Keys.Scale(1.5),
                Keys.Rule("activation", "swiglu_limited"),
                Keys.Number("activation_limit", "swiglu_limit", 10.0),
                Keys.Balance(0.001),
            ],
            Fixed = [new("norm_topk_prob", true), new("router_jitter_noise", 0.0), new("topk_method", "noaux_tc")],
            Besides = ["num_hash_layers"],
            Note = part => "layers that mlp_layer_types calls hash_moe (the first 3, if it is absent) choose by token id: dialect deepseek.hash",
        },
        new()
        {
            Name = "deepseek_v41_text",
            Also = ["deepseek_v41"],
            Classes = ["DeepseekV41"],
            Dialect = "deepseek.v41",
            Rule = "√softplus of logits over gate_temp, the k best of it plus a bias of text or one of images, divided by their sum if norm_topk_prob, "
                + "scaled; limited experts, the shared one too",
            Experts = Keys.Experts("n_routed_experts", 384),
            Settings =
            [
                Keys.Choices(6),
                new("score", ["scoring_func"], "sqrtsoftplus", Read.Word(("sqrtsoftplus", "sqrtsoftplus"), ("softmax", "softmax"), ("sigmoid", "sigmoid"))),
                new("logits_scale", ["gate_temp"], 1.0, Read.Reciprocal),
                Keys.Sum(true),
                Keys.Scale(1.5),
                .. LimitedTypes.Experts(10.0),
            ],
            Fixed = [new("topk_method", "noaux_tc"), new("router_jitter_noise", 0.0)],
            Besides = ["router_aux_loss_coef", "dspark_n_routed_experts", "dspark_num_experts_per_tok"],
            Note = part => "draft layers (num_nextn_predict_layers) choose dspark_num_experts_per_tok of dspark_n_routed_experts",
        },
    ];
}
