using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs.Families;

/// <summary>Sigmoid routers around experts of another kind: latent ones, softcapped ones, shared ones that join the normalisation.</summary>
static class LatentTypes
{
    static ModelType Inkling2 => new()
    {
        Name = "inkling2_text",
        Also = ["inkling2"],
        Classes = ["Inkling2"],
        Dialect = "hf.inkling2",
        Rule = "sigmoid, the k best of it plus a bias, divided by their sum, scaled; softcapped experts",
        Experts = Keys.Experts("n_routed_experts", 384),
        Settings =
        [
            Keys.Choices(8),
            Keys.Scale("route_scale", 8.0),
            new("score", ["scoring_func"], "sigmoid", Read.Word(("sigmoid", "sigmoid"), ("sqrtsoftplus", "sqrtsoftplus"))) { Unless = "sigmoid" },
            Keys.Number("activation_gate_softcap", "mlp_gate_softcap", 4.0),
            Keys.Number("activation_up_softcap", "mlp_up_softcap", 25.0),
        ],
    };

    public static IReadOnlyList<ModelType> All { get; } =
    [
        DeepSeekV3Types.AtZeroBefore(new()
        {
            Name = "nemotron_h",
            Classes = ["NemotronH"],
            Dialect = "hf.nemotron_h",
            Rule = DeepSeekV3Types.Rule + "; ungated experts, latent if so configured",
            Experts = Keys.Experts("n_routed_experts", 8),
            Settings =
            [
                Keys.Choices(2),
                Keys.Scale(1.0),
                Keys.SumUnless("sum", true),
                .. Keys.GroupsIfMany(1, 1, "minus_infinity"),
                new("latent_experts", ["moe_latent_size"], null, Read.IsThere) { Optional = true },
                Keys.Activation("mlp_hidden_act", "relu2"),
            ],
            Besides = ["moe_shared_expert_overlap"],
            Dense = part => part.Json["layers_block_type"] is JsonArray layers && layers.All(l => l?.ToString() != "moe")
                ? "layers_block_type names no moe layer"
                : part.Text("hybrid_override_pattern") is { } pattern && !pattern.Contains('E') ? "hybrid_override_pattern has no E" : null,
        }),
        new()
        {
            Name = "muse_spark_text",
            Also = ["muse_spark"],
            Classes = ["MuseSpark"],
            Dialect = "hf.muse_spark",
            Rule = "scaled logits, sigmoid, the k best of it plus a bias, divided by their sum, scaled; latent experts between norms",
            Experts = Keys.Experts("num_local_experts", 256),
            Settings =
            [
                Keys.Choices(8),
                Keys.Scale(1.0),
                Keys.Number("logits_scale", "output_multiplier", 0.1767766952966369),
                Keys.Number("experts_in_norm_epsilon", "rms_norm_eps", 1e-5),
                Keys.Number("experts_post_norm_epsilon", "post_norm_eps", 1e-8),
                Keys.Activation(),
            ],
        },
        new()
        {
            Name = "inkling_text",
            Also = ["inkling", "inkling_mm_model"],
            Classes = ["Inkling"],
            Dialect = "hf.inkling",
            Rule = "sigmoid, the k best of it plus a bias, divided by the sum of theirs and the shared experts', scaled",
            Experts = Keys.Experts("n_routed_experts", 256),
            Settings = [Keys.Choices(6), Keys.Scale("route_scale", 8.0), Keys.Activation()],
            Besides = ["shared_expert_sink", "rms_norm_eps_moe_gate"],
        },
        Inkling2,
        Inkling2 with
        {
            Name = "inkling2_loop_text",
            Also = ["inkling2_loop"],
            Classes = ["Inkling2Loop"],
            Dialect = "hf.inkling2_loop",
            Experts = Keys.Experts("n_routed_experts", 128),
        },
    ];
}
