using SparseExperts.Routing;

namespace SparseExperts.Describing;

/// <summary>In which number format each stage of a dialect computes, as words.</summary>
public static class FormatText
{
    /// <summary>What a format that is not set means.</summary>
    public const string Tokens = "as the tokens";

    /// <summary>Stages that every dialect has, by their axes.</summary>
    public static IReadOnlyList<string> Router { get; } = ["router_weight_dtype", "router_dtype", "logits_dtype", "score_dtype", "gate_dtype"];

    /// <summary>Stages of the experts, which only some dialects compute in a format of their own.</summary>
    public static IReadOnlyList<string> Experts { get; } = ["experts_dtype", "activation_dtype", "sum_dtype"];

    /// <summary>
    /// The format of one stage: the dialect's own, or that of the stage it follows: logits have the router's, a non-linearity its experts', all others the
    /// tokens'.
    /// </summary>
    public static string Of(Dialect d, string axis)
    {
        string? Own(string name) => DialectAxis.Find(name)!.Format(d);
        return Own(axis) ?? axis switch
        {
            "logits_dtype" => Own("router_dtype") ?? Tokens,
            "activation_dtype" => Own("experts_dtype") ?? Tokens,
            _ => Tokens,
        };
    }

    /// <summary>Every stage of the router, and those of the experts that have a format of their own.</summary>
    public static IEnumerable<(string Axis, string Format)> Stages(Dialect d) =>
        Router.Concat(Experts.Where(axis => Of(d, axis) != Tokens)).Select(axis => (axis, Of(d, axis)));
}
