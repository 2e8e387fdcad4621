namespace SparseExperts.Routing.Configs.Families;

/// <summary>The k largest logits, then a softmax over these alone.</summary>
static class GraniteTypes
{
    const string Rule = "the k largest logits, softmax over them", Shared = "; shared expert if it has a width";

    static ModelType Granite => new()
    {
        Name = "granitemoe",
        Classes = ["GraniteMoe"],
        Dialect = "hf.granitemoe",
        Rule = Rule,
        Experts = Keys.Experts("num_local_experts", 8),
        Settings = [Keys.Choices(2), Keys.Balance(0.001), Keys.Activation()],
    };

    public static IReadOnlyList<ModelType> All { get; } =
    [
        Granite,
        Granite with { Name = "granitemoeshared", Classes = ["GraniteMoeShared"], Dialect = "hf.granitemoeshared", Rule = Rule + Shared },
        Granite with { Name = "granitemoehybrid", Classes = ["GraniteMoeHybrid"], Dialect = "hf.granitemoehybrid", Rule = Rule + Shared },
        Granite with { Name = "granitemoe_swa", Classes = ["GraniteMoeSWA"], Dialect = "hf.granitemoe_swa", Rule = Rule + Shared },
        new()
        {
            Name = "aria_text",
            Also = ["aria"],
            Classes = ["Aria", "AriaText"],
            Dialect = "hf.aria",
            Rule = Rule + ", in the model's type; shared experts",
            Experts = Keys.Experts("moe_num_experts", 8),
            Settings = [Keys.Choices("moe_topk", 2), Keys.Activation()],
        },
        new()
        {
            Name = "jetmoe",
            Classes = ["JetMoe"],
            Dialect = "hf.jetmoe",
            Rule = Rule + "; a bias behind the sum",
            Experts = Keys.Experts("num_local_experts", 8),
            Settings = [Keys.Choices(2), Keys.Balance("aux_loss_coef", 0.01), Keys.Activation("activation_function")],
        },
        new()
        {
            Name = "gpt_oss",
            Classes = ["GptOss"],
            Dialect = "hf.gpt_oss",
            Rule = Rule + "; a router with a bias, clamped experts with biases",
            Experts = Keys.Experts("num_local_experts", 128),
            Settings =
            [
                Keys.Choices(4),
                Keys.Rule("activation", "swiglu_clamped"),
                Keys.Number("activation_alpha", "swiglu_alpha", 1.702),
                Keys.Number("activation_limit", "swiglu_limit", 7.0),
                Keys.Balance(0.001) with { Before = (new(5, 0), 0.9) },
            ],
        },
        new()
        {
            Name = "openai_privacy_filter",
            Classes = ["OpenAIPrivacyFilter"],
            Dialect = "hf.openai_privacy_filter",
            Rule = Rule + ", over k; the sum of the experts' outputs times k; clamped experts with biases",
            Experts = Keys.Experts("num_local_experts", 128),
            Settings =
            [
                Keys.Choices(4),
                Keys.Choices(4) with { Parameter = "scaling_factor", Read = Read.Inverse },
                Keys.Choices(4) with { Parameter = "output_scaling_factor" },
                Keys.Number("activation_alpha", "swiglu_alpha", 1.702),
                Keys.Number("activation_limit", "swiglu_limit", 7.0),
            ],
            Besides = ["router_aux_loss_coef"],
        },
        new()
        {
            Name = "llama4_text",
            Also = ["llama4"],
            Classes = ["Llama4"],
            Dialect = "hf.llama4",
            Rule = "the k largest logits, their sigmoid multiplies the expert's input; shared expert",
            Experts = Keys.Experts("num_local_experts", 16),
            Settings = [Keys.Choices(1), Keys.Activation()],
            Fixed = [new("router_jitter_noise", 0.0)],
            Besides = ["router_aux_loss_coef"],
        },
        new()
        {
            Name = "cohere2_moe",
            Classes = ["Cohere2Moe"],
            Dialect = "hf.cohere2_moe",
            Rule = Rule + " or their sigmoids; shared expert added or averaged in",
            Experts = Keys.Experts("num_experts", 8),
            Settings =
            [
                Keys.Choices(2),
                new("score", ["expert_selection_fn"], "softmax", Read.Word(("softmax", "softmax_post"), ("sigmoid", "sigmoid"))),
                Keys.Sum(true) with { When = part => part.First(["expert_selection_fn"])?.Value?.ToString() == "sigmoid" },
                new("shared_combination", ["shared_expert_combination_strategy"], "average", Read.Word(("average", "average"), ("sum", "sum"))),
                Keys.Activation(),
            ],
        },
    ];
}
