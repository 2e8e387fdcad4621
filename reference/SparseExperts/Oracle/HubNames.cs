using System.Text.RegularExpressions;

namespace SparseExperts.Oracle;

/// <summary>
/// Experts under the names that checkpoints have on the hub, a tensor each: <c>mlp.experts.3.gate_proj.weight</c> (Qwen, DeepSeek),
/// <c>block_sparse_moe.experts.3.w1.weight</c> (Mixtral), <c>experts.expert_3.wi.weight</c> (Switch), with any prefix, and their gradients.
/// </summary>
static partial class HubNames
{
    [GeneratedRegex(@"^(?<grad>claim\.grad\.)?(?:[A-Za-z_][\w]*\.|\d+\.)*experts\.(?:expert_)?(?<id>\d{1,6})\.(?<part>\w+)\.(?<kind>weight|bias)$")]
    private static partial Regex OneExpert();

    /// <summary>The projections by their names in checkpoints.</summary>
    static readonly Dictionary<string, string> Parts = new()
    {
        ["gate_proj"] = "wi_gate",
        ["up_proj"] = "wi",
        ["down_proj"] = "wo",
        ["w1"] = "wi_gate",
        ["w3"] = "wi",
        ["w2"] = "wo",
        ["wi"] = "wi",
        ["wo"] = "wo",
        ["fc1"] = "wi",
        ["fc2"] = "wo",
    };

    static readonly Dictionary<string, string> Biases = new() { ["wi"] = "bi", ["wi_gate"] = "bi_gate", ["wo"] = "bo" };

    /// <summary>The same tensors with those of single experts stacked, [E, …].</summary>
    public static IReadOnlyList<CaseTensor> Stacked(string path, IReadOnlyList<CaseTensor> tensors)
    {
        static string Part(Match match) => match.Groups["part"].Value;
        var matched = tensors.Select(t => (Tensor: t, Match: OneExpert().Match(t.Name)));
        var found = matched.ToLookup(t => t.Match.Success && Parts.ContainsKey(Part(t.Match)));
        if (!found[true].Any()) return tensors;
        var result = found[false].Select(t => t.Tensor).ToList();
        // Without a third matrix w1 is the one projection of an expert that has no gate.
        var parted = found[true].Select(t => Part(t.Match)).ToHashSet();
        var gated = parted.Contains("gate_proj") || parted.Contains("w3");
        foreach (var group in found[true].GroupBy(t => t.Match.Groups["grad"].Value + Name(t.Match, gated)))
        {
            int Id(Match match) => int.Parse(match.Groups["id"].ValueSpan, System.Globalization.CultureInfo.InvariantCulture);
            var parts = group.OrderBy(t => Id(t.Match)).ToArray();
            var first = parts[0].Tensor;
            for (var e = 0; e < parts.Length; e++)
            {
                var (tensor, id) = (parts[e].Tensor, Id(parts[e].Match));
                if (id != e)
                {
                    var missing = $"expert {Math.Min(e, id)} {(id < e ? "comes twice" : "is missing")}";
                    throw new CaseException($"{path}: {first.Name} and others: {missing}; give every expert once, from 0");
                }
                if (tensor.Shape.SequenceEqual(first.Shape)) continue;
                string Shaped(CaseTensor t) => $"{t.Name} is [{string.Join(", ", t.Shape)}]";
                throw new CaseException($"{path}: {Shaped(tensor)}, but {Shaped(first)}; experts have equal shapes");
            }
            if (result.Any(t => t.Name == group.Key)) throw new CaseException($"{path}: {group.Key} beside {first.Name}; give one of them");
            result.Add(new(group.Key, first.DType, [parts.Length, .. first.Shape], [.. parts.SelectMany(p => p.Tensor.Values)]));
        }
        return result;
    }

    static string Name(Match match, bool gated)
    {
        var part = match.Groups["part"].Value == "w1" && !gated ? "wi" : Parts[match.Groups["part"].Value];
        return $"experts.{(match.Groups["kind"].Value == "bias" ? Biases[part] : part)}";
    }
}
