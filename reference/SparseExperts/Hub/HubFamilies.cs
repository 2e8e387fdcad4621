using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SparseExperts.Formats;
using SparseExperts.Hub.Families;
using SparseExperts.Routing;

namespace SparseExperts.Hub;

/// <summary>All architectures that are read.</summary>
static partial class HubFamilies
{
    static readonly IReadOnlyList<HubFamily> All =
        [.. MixtralFamilies.All, .. QwenFamilies.All, .. DeepSeekFamilies.All, .. OtherFamilies.All, SwitchFamily.Only];

    static readonly Dictionary<string, HubFamily> ByName =
        All.SelectMany(f => f.Also.Prepend(f.Name).Select(n => (Name: n, Family: f))).ToDictionary(p => p.Name, p => p.Family);

    /// <summary>Architectures that mix tokens by other means than attention, which this program does not have.</summary>
    static readonly Dictionary<string, string> OtherMixers = new()
    {
        ["jamba"] = "Mamba layers",
        ["qwen3_next"] = "gated delta rule layers",
        ["qwen3_5_moe"] = "gated delta rule layers",
        ["qwen3_5_moe_text"] = "gated delta rule layers",
        ["qwen4_exp"] = "gated delta rule layers",
        ["qwen4_exp_text"] = "gated delta rule layers",
        ["granitemoehybrid"] = "Mamba layers",
        ["nemotron_h"] = "Mamba layers",
        ["kimi_linear"] = "linear attention layers",
        ["bailing_hybrid"] = "linear attention layers",
        ["minimax"] = "linear attention layers",
        ["lfm2_moe"] = "short convolutions",
    };

    /// <summary>The family of a configuration.</summary>
    /// <exception cref="InvalidFileException">There is none.</exception>
    public static HubFamily Of(JsonObject json, string where)
    {
        if (json["model_type"] is not JsonValue value || !value.TryGetValue<string>(out var name))
            throw new InvalidFileException($"{where}: no model_type; add it, as transformers writes it");
        if (ByName.TryGetValue(name, out var family)) return family;
        if (OtherMixers.TryGetValue(name, out var mixer))
            throw new InvalidFileException($"{where}: model_type {name} has {mixer}, which this program does not compute; {Known}");
        var near = BuiltIn.Meant(name, ByName.Keys) is { } meant ? $", the nearest is {ByName[meant].Name}" : "";
        throw new InvalidFileException($"{where}: model_type '{name}' is none that this program computes{near}; {Known}");
    }

    static string Known => $"it computes {string.Join(", ", All.Select(f => f.Name))}";

    public static HubTable Table(HubConfig config) => ByName[config.ModelType].Table;

    /// <summary>Whether a tensor that is in no line of the table is one that the library's model passes over as well.</summary>
    public static bool IsUnread(HubConfig config, string prefix, string name)
    {
        if (name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)) return true;
        var family = ByName[config.ModelType];
        if (prefix.Length > 0 && name.StartsWith(prefix, StringComparison.Ordinal))
        {
            var inner = name[prefix.Length..];
            if (config is HubDecoder decoder && Layer().Match(inner) is { Success: true } layer
                && int.TryParse(layer.Groups[1].ValueSpan, out var index) && index >= decoder.Layers.Count)
                return index < decoder.Layers.Count + decoder.FurtherLayers;
            return family.Unread.Any(u => inner.StartsWith(u, StringComparison.Ordinal));
        }
        return family.Unread.Any(u => name.StartsWith(u, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"^layers\.(\d+)\.")]
    private static partial Regex Layer();
}
