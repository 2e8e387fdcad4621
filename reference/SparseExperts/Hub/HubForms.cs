using System.Text.Json.Nodes;

namespace SparseExperts.Hub;

/// <summary>
/// Configurations that both major versions of transformers read alike: 4 passes over <c>rope_parameters</c> in silence and 5 over what is spelt otherwise, so
/// each setting stands under both names.
/// </summary>
public static class HubForms
{
    static readonly string[] ExpertSpellings = ["num_experts", "num_local_experts"];

    /// <summary>The configuration with the keys of both forms; what it says does not change.</summary>
    public static JsonObject Both(JsonObject config)
    {
        var both = config.DeepClone().AsObject();
        Rotary(both);
        // Qwen3-MoE and others: num_experts in 4, num_local_experts in 5.
        if (Array.Find(ExpertSpellings, both.ContainsKey) is { } known && both["model_type"]?.ToString() is "qwen3_moe" or "qwen3_vl_moe_text")
            foreach (var spelling in ExpertSpellings) both[spelling] ??= both[known]!.DeepClone();
        if ((both["dtype"] ?? both["torch_dtype"]) is { } dtype)
            foreach (var spelling in (string[])["dtype", "torch_dtype"]) both[spelling] ??= dtype.DeepClone();
        return both;
    }

    static void Rotary(JsonObject both)
    {
        if (both["rope_parameters"] is JsonObject parameters)
        {
            // A part a layer type has no old form.
            if (parameters.Any(p => p.Value is JsonObject)) return;
            var scaling = parameters.DeepClone().AsObject();
            if (parameters["rope_theta"] is { } theta) both["rope_theta"] ??= theta.DeepClone();
            if (parameters["partial_rotary_factor"] is { } part) both["partial_rotary_factor"] ??= part.DeepClone();
            scaling.Remove("rope_theta");
            scaling.Remove("partial_rotary_factor");
            if (!both.ContainsKey("rope_scaling")) both["rope_scaling"] = parameters["rope_type"]?.ToString() is null or "default" ? null : scaling;
            return;
        }
        if (!both.ContainsKey("rope_theta") && !both.ContainsKey("rope_scaling")) return;
        var made = both["rope_scaling"] is JsonObject old ? old.DeepClone().AsObject() : new() { ["rope_type"] = "default" };
        if (made["type"] is { } type)
        {
            made.Remove("type");
            made["rope_type"] ??= type.DeepClone();
        }
        foreach (var key in (string[])["rope_theta", "partial_rotary_factor"])
            if (both[key] is { } value) made[key] ??= value.DeepClone();
        both["rope_parameters"] = made;
    }
}
