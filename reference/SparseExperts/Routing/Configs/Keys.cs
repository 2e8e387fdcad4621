using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>Settings that many model types have, with the spellings that the library and its checkpoints use for them.</summary>
static class Keys
{
    static readonly string[] ExpertSpellings = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts"];
    static readonly string[] ChoiceSpellings =
        ["num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts", "experts_per_token", "num_selected_experts"];
    static readonly string[] ScaleSpellings =
        ["routed_scaling_factor", "route_scale", "router_scaling_factor", "moe_routed_scaling_factor", "moe_router_scaling_factor"];
    static readonly string[] SumSpellings = ["norm_topk_prob", "moe_renormalize"];
    static readonly string[] GroupSpellings = ["n_group", "num_expert_group", "num_expert_groups"];
    static readonly string[] KeptSpellings = ["topk_group", "num_limited_groups"];
    static readonly string[] BalanceSpellings = ["router_aux_loss_coef", "aux_loss_coef"];

    /// <summary>The number of routed experts.</summary>
    public static Setting Experts(string key, int? count) => new("experts", Spelled(key, ExpertSpellings), Of(count), Read.Count) { NullCounts = true };

    /// <summary>k.</summary>
    public static Setting Choices(string key, int? count) => new("k", Spelled(key, ChoiceSpellings), Of(count), Read.Count) { NullCounts = true };

    public static Setting Choices(int? count) => Choices("num_experts_per_tok", count);

    /// <summary>What multiplies the gates.</summary>
    public static Setting Scale(string key, double factor) => new("scaling_factor", Spelled(key, ScaleSpellings), factor, Read.Number) { NullCounts = true };

    public static Setting Scale(double factor) => Scale("routed_scaling_factor", factor);

    /// <summary>What multiplies the sum of the experts' outputs.</summary>
    public static Setting OutputScale(string key, double factor) => Scale(key, factor) with { Parameter = "output_scaling_factor" };

    /// <summary>Whether gates are divided by their sum.</summary>
    public static Setting Sum(string key, bool divided) => new("normalize", Spelled(key, SumSpellings), divided, Read.DividedBySum);

    public static Setting Sum(bool divided) => Sum("norm_topk_prob", divided);

    /// <summary>The same, printed only where it differs from the rule's own.</summary>
    public static Setting SumUnless(string own, bool divided) => Sum(divided) with { Unless = own };

    /// <summary>Groups of experts, those that are kept, and what the experts of the others get.</summary>
    public static Setting[] Groups(int? groups, int? kept, string mask, string score = "top2_sum") => Groups(groups, kept, mask, score, _ => true);

    /// <summary>The same, where one group is the rule without groups and is not printed.</summary>
    public static Setting[] GroupsIfMany(int groups, int kept, string mask) =>
        Groups(groups, kept, mask, "top2_sum", part => part.First(GroupSpellings) is { } given ? Read.Whole(given, 1) > 1 : groups > 1);

    /// <summary>The same, where the groups are a choice of the configuration.</summary>
    public static Setting[] Groups(int? groups, int? kept, string mask, string score, Func<ConfigPart, bool> when)
    {
        bool Any(ConfigPart part) => when(part) && (groups is not null || part.First(GroupSpellings) is not null);
        return
        [
            new("groups", GroupSpellings, Of(groups), Read.Count) { When = Any },
            new("groups_kept", KeptSpellings, Of(kept), Read.Count) { When = Any },
            Rule("group_score", score) with { When = Any },
            Rule("group_mask", mask) with { When = Any },
        ];
    }

    /// <summary>The balance loss's coefficient.</summary>
    public static Setting Balance(string key, double coefficient) => new("balance_coefficient", Spelled(key, BalanceSpellings), coefficient, Read.Number);

    public static Setting Balance(double coefficient) => Balance("router_aux_loss_coef", coefficient);

    /// <summary>Jitter of the router's input in training.</summary>
    public static Setting Jitter(double width) => new("jitter", ["router_jitter_noise"], width, Read.Number) { Unless = 0 };

    /// <summary>The experts' non-linearity, printed where it is not the one that the dialect has.</summary>
    public static Setting Activation(string key = "hidden_act", string own = "silu") =>
        new("activation", [key], null, Read.Activation) { Optional = true, Unless = own };

    /// <summary>A number under the library's own key.</summary>
    public static Setting Number(string parameter, string key, double number) => new(parameter, [key], number, Read.Number) { NullCounts = true };

    /// <summary>What the rule itself says.</summary>
    public static Setting Rule(string parameter, JsonNode value) => new(parameter, [], value, given => given.Value!.DeepClone());

    static JsonNode? Of(int? count) => count is { } number ? JsonValue.Create(number) : null;

    static string[] Spelled(string own, string[] all) => [own, .. all.Where(s => s != own)];
}
