namespace SparseExperts.Routing.Configs.Families;

/// <summary>
/// DeepSeek-V3's rule with defaults of their own: sigmoid, the k best of it plus a bias within the best groups, masked ones at −∞, divided by their sum if
/// norm_topk_prob, scaled; shared experts.
/// </summary>
static class DeepSeekV3Types
{
    internal const string Rule = "sigmoid, the k best of it plus a bias within the best groups, divided by their sum if norm_topk_prob, scaled";

    /// <summary>Experts of other groups are at −∞ from this release on, and were at 0 before: a negative biased score lost to them (#45441).</summary>
    static readonly LibraryVersion AtInfinity = new(5, 6);

    /// <summary>What checkpoints say of the rule and the library does not read.</summary>
    internal static readonly FixedKey[] Fixed =
    [
        new("scoring_func", "sigmoid"), new("score_function", "sigmoid"), new("topk_method", "noaux_tc"), new("moe_router_activation_func", "sigmoid"),
        new("use_grouped_topk", true), new("moe_router_enable_expert_bias", true),
    ];

    static ModelType V3 => new()
    {
        Name = "deepseek_v3",
        Also = ["kimi_k2", "kimi_k25", "kimi_vl"],
        Classes = ["DeepseekV3", "KimiK2", "KimiK25", "KimiVL"],
        Dialect = "hf.deepseek_v3",
        Rule = Rule + "; other groups at −∞; shared expert",
        Experts = Keys.Experts("n_routed_experts", 256),
        Settings = Settings(choices: 8, scale: 2.5, groups: 8, kept: 4),
        Fixed = Fixed,
    };

    /// <summary>The settings of the rule with a type's own defaults.</summary>
    internal static Setting[] Settings(int? choices, double scale, int? groups, int? kept, bool divided = true, string mask = "minus_infinity") =>
    [
        Keys.Choices(choices), Keys.Scale(scale), Keys.Sum(divided), .. Keys.Groups(groups, kept, mask), Keys.Activation(),
    ];

    /// <summary>The same for a type without groups of its own: one group.</summary>
    static Setting[] Settings(int? choices, double scale, bool divided = true) => Settings(choices, scale, 1, 1, divided);

    /// <summary>A type that the library had when other groups were at 0.</summary>
    internal static ModelType AtZeroBefore(ModelType type) => type with
    {
        Settings = [.. type.Settings.Select(s => s.Parameter == "group_mask" ? s with { Before = (AtInfinity, "zero") } : s)],
        Rule = type.Rule.Replace(" at −∞", $" at −∞ (at 0 before transformers {AtInfinity})", StringComparison.Ordinal),
    };

    public static IReadOnlyList<ModelType> All { get; } =
    [
        AtZeroBefore(V3),
        V3 with
        {
            Name = "axk1",
            Also = [],
            Classes = ["AXK1"],
            Dialect = "hf.axk1",
            Experts = Keys.Experts("n_routed_experts", 192),
        },
        V3 with
        {
            Name = "axk2",
            Also = [],
            Classes = ["AXK2"],
            Dialect = "hf.axk2",
            Rule = Rule + "; groups only if n_group says so, masked ones at 0; shared expert",
            Experts = Keys.Experts("n_routed_experts", 128),
            Settings = Settings(8, 2.5, null, null, mask: "zero"),
        },
        V3 with
        {
            Name = "bailing_hybrid",
            Also = [],
            Classes = ["BailingHybrid"],
            Dialect = "hf.bailing_hybrid",
            Experts = Keys.Experts("num_experts", 512),
        },
        V3 with
        {
            Name = "bailing_moe_v2",
            Also = [],
            Classes = ["BailingMoeV2"],
            Dialect = "hf.bailing_hybrid",
            Rule = Rule + "; other groups at −∞; shared expert; by the checkpoints' own code, the library has none",
            Experts = Keys.Experts("num_experts", 16),
            Settings = Settings(choices: 2, scale: 2.5, groups: 8, kept: 4),
        },
        V3 with { Name = "deepseek_v32", Also = [], Classes = ["DeepseekV32"], Dialect = "hf.deepseek_v32" },
        AtZeroBefore(V3 with
        {
            Name = "dots1",
            Also = [],
            Classes = ["Dots1"],
            Dialect = "hf.dots1",
            Experts = Keys.Experts("n_routed_experts", null),
            Settings = Settings(null, 1.0, divided: false),
        }),
        V3 with
        {
            Name = "dots3_note_text",
            Also = ["dots3_note"],
            Classes = ["Dots3Note"],
            Dialect = "hf.dots3_note",
            Settings = Settings(8, 1.0),
        },
        AtZeroBefore(V3 with
        {
            Name = "exaone_moe",
            Also = [],
            Classes = ["ExaoneMoe"],
            Dialect = "hf.exaone_moe",
            Experts = Keys.Experts("num_experts", 64),
            Settings = Settings(8, 2.5),
        }),
        AtZeroBefore(V3 with { Name = "glm_moe_dsa", Also = [], Classes = ["GlmMoeDsa"], Dialect = "hf.glm_moe_dsa", Settings = Settings(8, 2.5) }),
        AtZeroBefore(V3 with
        {
            Name = "glm4_moe",
            Also = [],
            Classes = ["Glm4Moe"],
            Dialect = "hf.glm4_moe",
            Experts = Keys.Experts("n_routed_experts", 128),
            Settings = Settings(8, 1.0),
        }),
        AtZeroBefore(V3 with
        {
            Name = "glm4_moe_lite",
            Also = [],
            Classes = ["Glm4MoeLite"],
            Dialect = "hf.glm4_moe_lite",
            Experts = Keys.Experts("n_routed_experts", 64),
            Settings = Settings(4, 1.8),
        }),
        AtZeroBefore(V3 with
        {
            Name = "glm4v_moe_text",
            Also = ["glm4v_moe"],
            Classes = ["Glm4vMoe"],
            Dialect = "hf.glm4v_moe",
            Experts = Keys.Experts("n_routed_experts", 128),
            Settings = [.. Settings(8, 1.0), Keys.Balance(0.0001)],
        }),
        V3 with
        {
            Name = "kimi_linear",
            Also = [],
            Classes = ["KimiLinear"],
            Dialect = "hf.kimi_linear",
            Experts = Keys.Experts("num_experts", 256),
            Settings = Settings(8, 2.446),
        },
        V3 with
        {
            Name = "mimo_v2_flash",
            Also = [],
            Classes = ["MiMoV2Flash"],
            Dialect = "hf.mimo_v2_flash",
            Rule = Rule + "; no shared expert",
            Settings = Settings(8, 1.0),
        },
        AtZeroBefore(V3 with
        {
            Name = "solar_open",
            Also = [],
            Classes = ["SolarOpen"],
            Dialect = "hf.solar_open",
            Experts = Keys.Experts("n_routed_experts", 128),
            Settings = Settings(8, 1.0),
        }),
    ];
}
