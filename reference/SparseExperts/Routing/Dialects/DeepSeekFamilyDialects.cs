namespace SparseExperts.Routing;

/// <summary>
/// Model types of transformers that have DeepSeek-V3's rule, or V2's, under a name and with defaults of their own: an entry is what differs. Groups that are
/// not kept stand at −∞, as in transformers since #45441.
/// </summary>
static class DeepSeekFamilyDialects
{
    static Dialect V3 => BuiltIn.Own(DeepSeekDialects.All, "hf.deepseek_v3") with { GroupMask = GroupMask.MinusInfinity, RuleOf = "hf.deepseek_v3" };
    static Dialect V2 => BuiltIn.Own(DeepSeekDialects.All, "hf.deepseek_v2") with { RuleOf = "hf.deepseek_v2" };

    static Dialect Rule(Dialect rule, string type, string differs, double scale = 1) => rule with
    {
        Name = $"hf.{type}",
        Summary = $"the rule of {rule.RuleOf}{differs}",
        Source = $"transformers modeling_{type}.py",
        ScalingFactor = scale,
    };

    /// <summary>Limited activations; HY-V4's shared expert has no limit.</summary>
    static Dialect Limited(Dialect d, double? shared) => d with
    {
        Activation = ExpertActivation.SwigluLimited,
        ActivationLimit = 10,
        SharedActivationLimit = shared,
        Parameters = [.. d.Parameters, "shared_activation_limit"],
    };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Rule(V3, "axk1", ", times 2.5; the norm behind the sum of routed and shared experts is the block's", 2.5),
        Rule(V3, "axk2", ", times 2.5, other groups at 0, which beats a negative biased score", 2.5) with { GroupMask = GroupMask.Zero },
        Rule(V3, "bailing_hybrid", ", times 2.5", 2.5),
        Rule(V3, "deepseek_v32", ", times 2.5", 2.5),
        Rule(V3, "dots1", ", not divided by default") with { Normalize = Normalize.None },
        Rule(V3, "dots3_note", ""),
        Rule(V3, "exaone_moe", ", times 2.5", 2.5),
        Rule(V3, "glm_moe_dsa", ", times 2.5", 2.5),
        Rule(V3, "kimi_linear", ", times 2.446", 2.446),
        Rule(V3, "glm4_moe_lite", ", times 1.8", 1.8),
        HuggingFaceDialects.Balanced(Rule(V3, "glm4v_moe", ", with a balance loss of the raw logits"), 1e-4),
        Rule(V3, "solar_open", ""),
        Rule(V3, "mimo_v2_flash", ", without a shared expert") with { SharedExpert = false },
        HuggingFaceDialects.Balanced(
            Limited(Rule(V3, "glm5_next", ", times 2.5, with limited experts, the shared one too, and a balance loss of the raw logits", 2.5), null), 1e-3),
        Limited(Rule(V3, "hy_v4", ", times 2.827, with limited routed experts; the shared one is not limited", 2.827), 0),
        Limited(Rule(V3, "hy_v4_vl", ", times 2.827, with limited routed experts; the shared one is not limited", 2.827), 0),
        Rule(V3, "hy_v3", ", times 2.826", 2.826),
        Rule(V3, "dots3_note_vision", ", without a shared expert; its checkpoint's capacity_factor is k") with { SharedExpert = false },
        Rule(V2, "deepseek_ocr2", ""),
        Rule(V2, "unlimited_ocr", ""),
    ];
}
