namespace SparseExperts.Routing.Configs.Families;

/// <summary>DeepSeek-V3's rule with experts whose halves are limited before they meet.</summary>
static class LimitedTypes
{
    static ModelType Hy => new()
    {
        Name = "hy_v4",
        Classes = ["HYV4"],
        Dialect = "hf.hy_v4",
        Rule = DeepSeekV3Types.Rule + "; limited experts, the shared one is not",
        Experts = Keys.Experts("n_routed_experts", 256),
        Settings = Limited(2.827),
        Fixed = DeepSeekV3Types.Fixed,
    };

    static Setting[] Limited(double scale) => [.. DeepSeekV3Types.Settings(8, scale, 1, 1).Where(s => s.Parameter != "activation"), .. Experts(10.0)];

    /// <summary>A limit that is null, 0 or less is none, and the experts are plain ones.</summary>
    internal static Setting[] Experts(double limit)
    {
        bool IsLimited(ConfigPart part) => part.First(["swiglu_limit"], nullCounts: true) is not { } given || Read.Limit(given).Value is not null;
        return
        [
            Keys.Rule("activation", "swiglu_limited") with { When = IsLimited },
            Keys.Rule("activation", "silu") with { When = part => !IsLimited(part) },
            new("activation_limit", ["swiglu_limit"], limit, Read.Limit) { NullCounts = true },
        ];
    }

    public static IReadOnlyList<ModelType> All { get; } =
    [
        new()
        {
            Name = "glm5_next_text",
            Also = ["glm5_next"],
            Classes = ["Glm5Next"],
            Dialect = "hf.glm5_next",
            Rule = DeepSeekV3Types.Rule + "; limited experts, the shared one too",
            Experts = Keys.Experts("n_routed_experts", 288),
            Settings = [.. Limited(2.5), Keys.Balance(0.001)],
            Fixed = DeepSeekV3Types.Fixed,
        },
        Hy,
        Hy with { Name = "hy_v4_vl_text", Also = ["hy_v4_vl"], Classes = ["HYV4VL"], Dialect = "hf.hy_v4_vl" },
    ];
}
