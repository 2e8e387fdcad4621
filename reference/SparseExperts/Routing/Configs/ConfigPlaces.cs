using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>
/// Keys that say how large experts are and in which layers they stand. They are no parameter of a dialect, but what cannot be there is a slip in a file that
/// the library itself would fail on, or read as another model.
/// </summary>
static class ConfigPlaces
{
    /// <summary>Whole numbers, the least that they can be, and the model type whose class takes 0 for "none".</summary>
    static readonly (string Key, int Least, string ZeroFor)[] Numbers =
    [
        ("hidden_size", 1, ""), ("num_hidden_layers", 1, ""),
        ("decoder_sparse_step", 1, "nllb"), ("encoder_sparse_step", 0, ""), ("interleave_moe_layer_step", 1, ""),
        ("expert_layer_period", 1, ""), ("expert_layer_offset", 0, ""), ("first_k_dense_replace", 0, ""),
        ("n_shared_experts", 0, ""), ("shared_expert_intermediate_size", 0, ""),
    ];

    /// <summary>The same, or a list with one for each layer.</summary>
    static readonly (string Key, int Least)[] OfLayers =
        [("moe_intermediate_size", 1), ("moe_layer_freq", 1), ("num_shared_expert", 0), ("num_shared_experts", 0)];

    public static void Check(ConfigPart part, ModelType type)
    {
        foreach (var (key, least, zeroFor) in Numbers)
            if (Of(part, key) is { } given) Read.Whole(given, zeroFor.Length > 0 && type.Name.StartsWith(zeroFor, StringComparison.Ordinal) ? 0 : least);
        foreach (var (key, least) in OfLayers)
        {
            if (Of(part, key) is not { } given) continue;
            if (given.Value is not JsonArray layers) Read.Whole(given, least);
            else if (layers.Any(l => !IsWhole(l, 0))) throw given.Refusal("give a whole number, or a list with one for each layer");
        }
        if (Of(part, "mlp_only_layers") is { } dense && (dense.Value is not JsonArray numbers || numbers.Any(n => !IsWhole(n, 0))))
            throw dense.Refusal("give a list of the numbers of dense layers, from 0");
    }

    /// <summary>That every layer is dense by its number, in words; null where one is not, or where it is not said.</summary>
    public static string? AllLayersDense(ConfigPart part)
    {
        if (Number(part, "num_hidden_layers") is not { } layers) return null;
        if (Number(part, "decoder_sparse_step") is { } step && step > layers) return $"decoder_sparse_step {step} reaches none of the {layers} layers";
        if (Number(part, "first_k_dense_replace") is { } first && first >= layers) return $"first_k_dense_replace {first} is all of the {layers} layers";
        if (part.Json["mlp_only_layers"] is not JsonArray list) return null;
        var dense = list.OfType<JsonValue>().Select(l => l.TryGetValue<int>(out var layer) ? layer : -1).ToHashSet();
        return Enumerable.Range(0, layers).All(dense.Contains) ? $"mlp_only_layers names all {layers} layers" : null;
    }

    static Given? Of(ConfigPart part, string key) => part.Has(key, out var value) && value is not null ? new(part, key, value, IsDefault: false) : null;

    static int? Number(ConfigPart part, string key) =>
        part.Json[key] is JsonValue value && value.TryGetValue<int>(out var number) && number >= 1 ? number : null;

    static bool IsWhole(JsonNode? node, int least) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue<int>(out var number) && number >= least;
}
