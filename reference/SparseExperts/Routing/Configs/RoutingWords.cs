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
        "num_shared_experts", "n_shared_experts", "num_shared_expert", "moe_num_shared_experts", "expert_ffn_hidden_size", "moe_latent_size", "moe_hidden_size",
        "router_hidden_size", "share_expert_dim", "moe_layer_freq", "moe_layers", "moe_layers_enum", "moe_layer_interval", "moe_layer_start_index",
        "moe_layer_end_index", "moe_layer_num_skipped", "moe_layer_offset", "moe_every_n_layer", "use_moe", "interleave_moe_layer_step", "expert_layer_period", "expert_layer_offset", "output_router_logits",
    ];

    /// <summary>Gates, scores and top-k of attention and of other parts than the experts.</summary>
    [GeneratedRegex("^(index|indexer|attn|attention|linear|mamba|kda|mla|swa|loop|hc|residual|output_gate|gated_norm|mlp_gate|sparse_attention|gate_up)_|attn_gate$|_attn_")]
    private static partial Regex Elsewhere();

    [GeneratedRegex("(^|_)(experts?|routers?|routed|routing|route|moe|gate|gates|gated|gating|topk|capacity|aux|balance|balancing|scoring|score)(_|$)|top_k|norm_topk|_groups?_(kept|limit)|load_balanc|n_group$|zero_expert")]
    private static partial Regex Routing();

    /// <summary>Keys that speak of routing.</summary>
    public static IEnumerable<string> In(JsonObject json) => json
        .Where(p => Routing().IsMatch(p.Key) && !Elsewhere().IsMatch(p.Key) && !SizesAndPlaces.Contains(p.Key) && !IsOfGeneration(p.Key, p.Value)).Select(p => p.Key);

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
            {
                var name = before + key;
                var text = ConfigPart.Brief(value);
                if (type.Fixed.FirstOrDefault(f => f.Key == name) is { } only)
                {
                    if (!only.Agrees(value)) yield return new(where.At + key, text, $"the library's rule is {string.Join(" or ", only.Values.Select(ConfigPart.Brief))} whatever this says");
                }
                else if (used.FirstOrDefault(s => s.Keys.Contains(name)) is { } setting)
                {
                    if (part.First(setting.Keys, setting.NullCounts) is { } given && given.Key != name && !JsonNode.DeepEquals(given.Value, value) && value is not null)
                        yield return new(where.At + key, text, $"{given.Key} says the same thing otherwise");
                }
                else if (In(where.Json).Contains(key) && !type.Besides.Contains(key)) yield return new(where.At + key, text, "nothing in this type's rule reads it");
            }
        }
    }

    /// <summary><c>top_k</c> of text generation, which transformers 4 wrote into every configuration.</summary>
    static bool IsOfGeneration(string key, JsonNode? value) => key == "top_k" && value?.ToString() == "50";
}
