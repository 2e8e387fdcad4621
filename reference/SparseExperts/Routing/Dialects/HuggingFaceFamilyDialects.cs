namespace SparseExperts.Routing;

/// <summary>
/// Model types of transformers that have a softmax rule of another one under a name and with defaults of their own: an entry is what differs.
/// </summary>
static class HuggingFaceFamilyDialects
{
    static Dialect Like(string name) => BuiltIn.Own(HuggingFaceDialects.All, name) with { RuleOf = name };

    static Dialect Rule(Dialect rule, string type, string differs) => rule with
    {
        Name = $"hf.{type}",
        Summary = $"the rule of {rule.RuleOf}{differs}",
        Source = $"transformers modeling_{type}.py",
    };

    static Dialect Qwen3 => Like("hf.qwen3_moe") with { BalanceCoefficient = 0.001 };
    static Dialect Qwen2 => Like("hf.qwen2_moe") with { BalanceCoefficient = 0.001 };
    static Dialect Granite => Like("hf.granitemoe") with { BalanceCoefficient = 0.001, SharedExpert = true };

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Rule(Qwen3, "mellum", ", divided by default") with { Normalize = Normalize.Sum },
        Rule(Qwen3, "qwen3_vl_moe", ", always divided") with { Normalize = Normalize.Sum },
        Rule(Qwen3, "qwen3_omni_moe", "; the talker has a shared expert behind a sigmoid gate and does not divide") with { Normalize = Normalize.Sum },
        Rule(Qwen2, "qwen3_next", ", divided by default") with { Normalize = Normalize.Sum },
        Rule(Qwen2, "qwen4_exp", ", divided by default") with { Normalize = Normalize.Sum },
        Rule(Qwen3.Float32Router().GatesInTokensFormat(), "lara_mini",
            ", divided by default, with a shared expert that has no gate") with { Normalize = Normalize.Sum, SharedExpert = true },
        Rule(Like("hf.ernie4_5_moe"), "ernie4_5_vl_moe", "; text and vision tokens have routers and experts of their own and share one expert"),
        Rule(Granite, "granitemoe_swa", "; the decoder layer may add a shared expert") with { SharedExpert = false },
        Rule(Granite, "granitemoeshared", "; the decoder layer adds a shared expert"),
        Rule(Granite, "granitemoehybrid", "; the decoder layer adds a shared expert"),
        Rule(Granite, "aria", ", in the model's type, with a shared expert; experts are stored transposed") with
        {
            Parameters = [.. Granite.Parameters.Where(p => p != "balance_coefficient")],
            Balance = BalanceLoss.None,
            BalanceCoefficient = 0,
            LayerReduction = LayerReduction.Sum,
        },
        Rule(Qwen3.Float32RouterAndWeight(), "flint",
            " with sigmoids without a bias, divided by default, and a shared expert; the balance loss takes a softmax of the raw logits") with
        {
            RuleOf = null,
            Score = Score.Sigmoid,
            Normalize = Normalize.Sum,
            BalanceCoefficient = 5e-4,
            SharedExpert = true,
        },
    ];
}
