using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace SparseExperts.Routing.Configs;

/// <summary>Keys whose names speak of routing, so that none of them is passed over in silence.</summary>
static partial class RoutingWords
{
    /// <summary>Keys that many types have and that say how large or where experts are, or what is printed: no parameter of a dialect.</summary>
    static readonly HashSet<string> SizesAndPlaces =
    [
        "moe_intermediate_size", "shared_expert_intermediate_size", "shared_experts_intermediate_size", "moe_shared_expert_intermediate_size",
        "num_shared_experts", "n_shared_experts", "num_shared_expert", "moe_num_shared_experts", "expert_ffn_hidden_size", "moe_latent_size",
        "moe_hidden_size",
        "router_hidden_size", "share_expert_dim", "moe_layer_freq", "moe_layers", "moe_layers_enum", "moe_layer_interval", "moe_layer_start_index",
        "moe_layer_end_index", "moe_layer_num_skipped", "moe_layer_offset", "moe_every_n_layer", "use_moe",
        "interleave_moe_layer_step", "expert_layer_period", "expert_layer_offset", "output_router_logits",
    ];

    /// <summary>Gates, scores and top-k of attention and of other parts than the experts.</summary>
    [GeneratedRegex("^(index|indexer|attn|attention|linear|mamba|kda|mla|swa|loop|hc|residual|output_gate|gated_norm|mlp_gate|sparse_attention|gate_up)_"
        + "|attn_gate$|_attn_|gated_act$")]
    private static partial Regex Elsewhere();

    [GeneratedRegex("(^|_)(experts?|routers?|routed|routing|route|moe|gates?|gated|gating|topk|capacity|aux|balance|balancing|scoring|score)(_|$)"
        + "|top_k|norm_topk|load_balanc|n_group$")]
    private static partial Regex Routing();

    /// <summary>Keys that speak of routing.</summary>
    public static IEnumerable<string> In(JsonObject json) => json.Where(p => SpeaksOfRouting(p.Key, p.Value)).Select(p => p.Key);

    static bool SpeaksOfRouting(string key, JsonNode? value) =>
        Routing().IsMatch(key) && !Elsewhere().IsMatch(key) && !SizesAndPlaces.Contains(key) && !IsOfGeneration(key, value);

    /// <summary>Those that this type's rule does not use, and those with another value than the rule's only one.</summary>
    public static IEnumerable<IgnoredKey> NotUnderstood(ConfigPart part, ModelType type)
    {
        var used = type.Settings.Prepend(type.Experts).Where(s => s.Keys.Count > 0).ToArray();
        var outer = used.SelectMany(s => s.Keys).Where(k => k.Contains('.')).Select(k => k[..k.IndexOf('.')]).ToHashSet();
        foreach (var inner in outer.Where(o => part.Json[o] is JsonObject))
            foreach (var ignored in Of(part.Inner(inner)!, inner + ".")) yield return ignored;
        foreach (var ignored in Of(part, "")) yield return ignored;

        IEnumerable<IgnoredKey> Of(ConfigPart where, string before)
        {
            foreach (var (key, value) in where.Json)
                if (Why(before + key, key, value) is { } why) yield return new(where.At + key, ConfigPart.Brief(value), why);
        }

        string? Why(string name, string key, JsonNode? value)
        {
            if (type.Fixed.FirstOrDefault(f => f.Key == name) is { } only)
                return only.Agrees(value) ? null : $"the library's rule is {string.Join(" or ", only.Values.Select(ConfigPart.Brief))} whatever this says";
            if (used.FirstOrDefault(s => s.Keys.Contains(name)) is { } setting)
                return value is not null && part.First(setting.Keys, setting.NullCounts) is { } given && !JsonNode.DeepEquals(given.Value, value)
                    ? $"{given.Key} says it otherwise and counts"
                    : null;
            if (!SpeaksOfRouting(key, value) || type.Besides.Contains(key)) return null;
            var meant = BuiltIn.Misspelt(name, used.SelectMany(s => s.Keys));
            return meant is null ? "nothing in this type's rule reads it" : $"nothing in this type's rule reads it: is {meant} meant?";
        }
    }

    /// <summary><c>top_k</c> of text generation, which transformers 4 wrote into every configuration.</summary>
    static bool IsOfGeneration(string key, JsonNode? value) => key == "top_k" && value?.ToString() == "50";
}
