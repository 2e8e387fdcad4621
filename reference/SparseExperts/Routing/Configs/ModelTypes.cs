using System.Text.RegularExpressions;
using SparseExperts.Routing.Configs.Families;

namespace SparseExperts.Routing.Configs;

/// <summary>Every model type of transformers that has a routed part and a dialect. A family of rules is a file; a new type is an entry in one.</summary>
public static partial class ModelTypes
{
    public static IReadOnlyList<ModelType> All { get; } =
    [
        .. ClassicTypes.All, .. SoftmaxTypes.All, .. QwenTypes.All, .. GraniteTypes.All, .. DeepSeekTypes.All, .. DeepSeekV3Types.All, .. LimitedTypes.All,
        .. SigmoidTypes.All, .. LatentTypes.All, .. GroupedSoftmaxTypes.All, .. OtherTypes.All,
    ];

    static readonly ILookup<string, ModelType> ByName =
        All.SelectMany(t => t.Also.Prepend(t.Name).Select(n => (Name: Plain(n), Type: t))).ToLookup(p => p.Name, p => p.Type);

    /// <summary>The type of that <c>model_type</c>, as the given version of the library reads it; without one as transformers 4 does.</summary>
    public static ModelType? Find(string name, LibraryVersion version = default) =>
        ByName[Plain(name)] is var types && types.Any() ? types.FirstOrDefault(t => t.IsOf(version)) ?? types.First() : null;

    /// <summary>The type of a class of the library: <c>Qwen3MoeForCausalLM</c>.</summary>
    public static ModelType? FindArchitecture(string name, LibraryVersion version = default) => All
        .SelectMany(t => t.Classes.Select(c => (Class: c, Type: t)))
        .Where(p => name.StartsWith(p.Class, StringComparison.OrdinalIgnoreCase) && Rest().IsMatch(name[p.Class.Length..]))
        .OrderByDescending(p => p.Class.Length).ThenBy(p => p.Type.IsOf(version) ? 0 : 1).Select(p => p.Type).FirstOrDefault();

    /// <summary>All names that <see cref="Find"/> knows.</summary>
    public static IEnumerable<string> Names => All.SelectMany(t => t.Also.Prepend(t.Name)).Distinct();

    static string Plain(string name) => name.ToLowerInvariant().Replace('-', '_');

    [GeneratedRegex("^(Text|Thinker|ThinkerText|Talker|TalkerText)?(Model|PreTrainedModel|EncoderModel|Config|For[a-z0-9]+)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Rest();
}
