namespace SparseExperts.Routing.Configs.Families;

/// <summary>Sigmoids, without groups or with rules of their own around them.</summary>
static class SigmoidTypes
{
    const string Divided = "sigmoid, the k best of it plus a bias, divided by their sum", Shared = "; shared expert";

    static ModelType MiniMaxM3 => new()
    {
        Name = "minimax_m3_vl_text",
        Also = ["minimax_m3_vl"],
        Classes = ["MiniMaxM3VL"],
        Dialect = "hf.minimax_m3_vl",
        Rule = Divided + ", their outputs' sum scaled; clamped experts" + Shared,
        Experts = Keys.Experts("num_local_experts", 128),
        Settings =
        [
            Keys.Choices(4),
            Keys.OutputScale("routed_scaling_factor", 2.0),
            Keys.Number("activation_alpha", "swiglu_alpha", 1.702),
            Keys.Number("activation_limit", "swiglu_limit", 7.0),
            Keys.Balance(0.001),
        ],
        Fixed = [new("router_jitter_noise", 0.0), new("use_routing_bias", true), new("scoring_func", "sigmoid")],
    };

    public static IReadOnlyList<ModelType> All { get; } =
    [
        new()
        {
            Name = "minimax_m2",
            Classes = ["MiniMaxM2"],
            Dialect = "hf.minimax_m2",
            Rule = Divided,
            Experts = Keys.Experts("num_local_experts", 256),
            Settings = [Keys.Choices(8), Keys.Jitter(0), Keys.Balance(0.001), Keys.Activation()],
            Fixed = [new("scoring_func", "sigmoid"), new("use_routing_bias", true)],
        },
        MiniMaxM3,
        new()
        {
            Name = "step3p5",
            Also = ["step3p7"],
            Classes = ["Step3p7", "Step3p5"],
            Dialect = "hf.step3p7",
            Rule = Divided + ", their outputs' sum scaled; a limit behind the experts' silu, by layer" + Shared,
            Experts = Keys.Experts("n_routed_experts", 288),
            Settings =
            [
                Keys.Choices(8),
                Keys.OutputScale("moe_router_scaling_factor", 1.0),
                new("activation_limit", ["swiglu_limits"], null, Read.LimitOfLayers) { Optional = true },
                new("shared_activation_limit", ["swiglu_limits_shared"], null, Read.LimitOfLayers) { Optional = true },
            ],
            Fixed =
            [
                new("moe_router_activation", "sigmoid"), new("use_moe_router_bias", true), new("norm_expert_weight", true), new("need_fp32_gate", true),
            ],
        },
        new()
        {
            Name = "lfm2_moe",
            Classes = ["Lfm2Moe"],
            Dialect = "hf.lfm2_moe",
            Rule = "sigmoid, the k best of it plus a bias, divided by their sum + 1e-6 if norm_topk_prob, scaled",
            Experts = Keys.Experts("num_experts", 32),
            Settings = [Keys.Choices(4), Keys.Sum(true), Keys.Scale(1.0)],
            Fixed = [new("use_expert_bias", true)],
        },
        new()
        {
            Name = "afmoe",
            Classes = ["Afmoe"],
            Dialect = "hf.afmoe",
            Rule = Divided + ", scaled" + Shared,
            Experts = Keys.Experts("num_experts", 64),
            Settings = [Keys.Choices(6), Keys.Scale("route_scale", 1.0), Keys.Activation()],
            Fixed =
            [
                new("route_norm", true), new("score_func", "sigmoid"), new("n_group", 1), new("topk_group", 1), new("num_expert_groups", 1),
                new("num_limited_groups", 1),
            ],
        },
        new()
        {
            Name = "flint",
            Classes = ["Flint"],
            Dialect = "hf.flint",
            Rule = "sigmoid, its k best, divided by their sum if norm_topk_prob" + Shared,
            Experts = Keys.Experts("num_experts", 256),
            Settings = [Keys.Choices(6), Keys.Sum(true), Keys.Balance(0.0005), Keys.Activation()],
        },
        new()
        {
            Name = "laguna",
            Classes = ["Laguna"],
            Dialect = "hf.laguna",
            Rule = "softcapped logits; " + Divided + ", their outputs' sum scaled" + Shared,
            Experts = Keys.Experts("num_experts", 256),
            Settings =
            [
                Keys.Choices(8),
                Keys.OutputScale("moe_routed_scaling_factor", 1.0),
                new("logits_softcap", ["moe_router_logit_softcapping"], 0.0, Read.Limit),
                Keys.Balance(0.001),
                Keys.Activation(),
            ],
            Fixed = [new("moe_apply_router_weight_on_input", false)],
            Besides = ["gating"],
        },
        new()
        {
            Name = "hy_v3",
            Classes = ["HYV3"],
            Dialect = "hf.hy_v3",
            Rule = Divided + ", scaled" + Shared,
            Experts = Keys.Experts("num_experts", 192),
            Settings = [Keys.Choices(8), Keys.Scale("router_scaling_factor", 2.826), Keys.Activation()],
            Fixed = [new("route_norm", true), new("moe_router_use_sigmoid", true), new("moe_router_enable_expert_bias", true)],
            Besides = ["enable_moe_fp32_combine"],
        },
        new()
        {
            Name = "dots3_note_vision_encoder",
            Classes = ["Dots3NoteVision"],
            Dialect = "hf.dots3_note_vision",
            Rule = Divided + ", scaled; another number of experts in each layer",
            Experts = Keys.Experts("num_local_experts", 64),
            Settings =
            [
                Keys.Choices(2) with { Keys = ["capacity_factor", "num_experts_per_tok"] },
                Keys.Scale("router_scaling_factor", 1.0) with { Keys = ["router_scale", "router_scaling_factor"] },
                Keys.Activation(),
            ],
            Besides = ["pyramid_num_routed"],
        },
        new()
        {
            Name = "kolibri1",
            Classes = ["Kolibri1"],
            Dialect = "hf.kolibri1",
            Rule = "the k largest logits plus a bias, their sigmoids, divided by their sum only if norm_topk_prob" + Shared,
            Experts = Keys.Experts("num_local_experts", 384),
            Settings = [Keys.Choices(6), Keys.SumUnless("none", false), Keys.Activation()],
            Besides = ["router_aux_loss_coef"],
        },
        new()
        {
            Name = "beam",
            Classes = ["Beam"],
            Dialect = "hf.beam",
            Rule = "sigmoid, the k best of it plus a bias within the best groups, divided by their sum if norm_topk_prob, their outputs' sum scaled",
            Experts = Keys.Experts("num_experts", 256),
            Settings =
            [
                Keys.Choices(8), Keys.OutputScale("routed_scaling_factor", 2.5), Keys.SumUnless("sum", true), .. Keys.Groups(8, 4, "minus_infinity"),
                Keys.Activation(),
            ],
        },
    ];
}
