namespace SparseExperts.Routing.Configs.Families;

/// <summary>The first generation, with capacity: Switch and NLLB-MoE; a dialect for each major version of the library.</summary>
static class ClassicTypes
{
    static ModelType Switch => new()
    {
        Name = "switch_transformers",
        Classes = ["SwitchTransformers"],
        Dialect = "hf.switch.v4",
        Rule = "the best expert by softmax, a fixed number of slots an expert and sequence",
        Version = 4,
        Experts = Keys.Experts("num_experts", 8),
        Settings =
        [
            new("capacity", ["expert_capacity"], 64, Read.CountOrNone),
            Keys.Number("jitter", "router_jitter_noise", 0.01),
            new("router_dtype", ["router_dtype"], "float32", Read.Format),
            Keys.Balance(0.001),
            Keys.Number("z_coefficient", "router_z_loss_coef", 0.001),
            Keys.Activation("dense_act_fn", "relu"),
        ],
        Fixed = [new("router_bias", false), new("router_ignore_padding_tokens", false), new("router_type", "tokens_masked")],
        Besides = ["add_router_probs"],
    };

    static ModelType Nllb => new()
    {
        Name = "nllb-moe",
        Classes = ["NllbMoe"],
        Dialect = "hf.nllb_moe.v4",
        Rule = "two experts by softmax, capacity of its own in evaluation",
        Version = 4,
        Experts = Keys.Experts("num_experts", 128),
        Settings =
        [
            new("capacity", ["expert_capacity"], 64, Read.CountOrNone),
            Keys.Number("capacity_fraction", "moe_eval_capacity_token_fraction", 1.0),
            new("policy", ["second_expert_policy"], "all", Read.Word(("all", "all"), ("random", "random"), ("sampling", "sample"))),
            new("normalize", ["normalize_router_prob_before_dropping"], false, given => Read.Truth(given, "before_drop", "after_drop")),
            new("batch_prioritized", ["batch_prioritized_routing"], false, Read.Switch),
            Keys.Number("token_dropout", "moe_token_dropout", 0.2),
            new("ignore_padding", ["router_ignore_padding_tokens"], false, Read.Switch),
            Keys.Balance(0.001),
            Keys.Activation("activation_function", "relu"),
        ],
        Fixed = [new("router_bias", false), new("router_dtype", "float32")],
        Besides = ["router_z_loss_coef"],
    };

    public static IReadOnlyList<ModelType> All { get; } =
    [
        Switch,
        Switch with
        {
            Dialect = "hf.switch.v5",
            Version = 5,
            // 5.17 was run and enforces no capacity, 5.23 was run and does, as transformers 4; the repair is huggingface/transformers #48421.
            Until = 18,
            Settings = [.. Switch.Settings.Where(s => s.Parameter is "capacity" or "jitter" or "activation")],
            Besides = [.. Switch.Besides, "router_dtype", "router_aux_loss_coef", "router_z_loss_coef"],
        },
        Nllb,
        Nllb with { Dialect = "hf.nllb_moe.v5", Version = 5, Rule = Nllb.Rule + "; whoever was chosen, experts 1 and 0 compute (in 5.23 still)" },
    ];
}
