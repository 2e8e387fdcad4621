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
        All.SelectMany(t => t.Also.Prepend(t.Name).Select(n => (Name: BuiltIn.Letters(n), Type: t))).ToLookup(p => p.Name, p => p.Type);

    /// <summary>
    /// The type of that <c>model_type</c>, whatever its case and separators, as the given version of the library reads it; without one as the newest does.
    /// </summary>
    public static ModelType? Find(string name, LibraryVersion? version = null) =>
        ByName[BuiltIn.Letters(name)] is var types && types.Any() ? types.FirstOrDefault(t => t.IsOf(version ?? LibraryVersion.Newest)) ?? types.First() : null;

    /// <summary>The type of a class of the library: <c>Qwen3MoeForCausalLM</c>.</summary>
    public static ModelType? FindArchitecture(string name, LibraryVersion? version = null) => All
        .SelectMany(t => t.Classes.Select(c => (Class: BuiltIn.Letters(c), Type: t)))
        .Where(p => BuiltIn.Letters(name) is var all && all.StartsWith(p.Class, StringComparison.Ordinal) && Rest().IsMatch(all[p.Class.Length..]))
        .OrderByDescending(p => p.Class.Length).ThenBy(p => p.Type.IsOf(version ?? LibraryVersion.Newest) ? 0 : 1).Select(p => p.Type).FirstOrDefault();

    /// <summary>All names that <see cref="Find"/> knows.</summary>
    public static IEnumerable<string> Names => All.SelectMany(t => t.Also.Prepend(t.Name)).Distinct();

    /// <summary>A name of the hub without its owner, a class's without what it is for.</summary>
    internal static string Bare(string name) => Purpose().Replace(name[(name.LastIndexOf('/') + 1)..], "");

    [GeneratedRegex("(?<=.)(For[A-Z][A-Za-z0-9]*|Model|Config)$")]
    private static partial Regex Purpose();

    [GeneratedRegex("^(Text|Thinker|ThinkerText|Talker|TalkerText)?(Model|PreTrainedModel|EncoderModel|Config|For[a-z0-9]+)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Rest();
}
