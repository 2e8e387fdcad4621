using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SparseExperts.Formats;

namespace SparseExperts.Routing.Configs;

/// <summary>
/// A Hugging Face <c>config.json</c> read as a dialect and its parameters: keys are those of transformers' configuration classes, absent ones have the
/// class's default. A composite model's routed part is found inside it.
/// </summary>
public static partial class ConfigFile
{
    /// <summary>Where composite models keep the part that is routed.</summary>
    static readonly string[] Parts = ["thinker_config", "text_config", "language_config", "llm_config", "backbone_config"];

    /// <param name="path">The file, or a folder that holds <c>config.json</c>.</param>
    /// <exception cref="DialectException">It cannot be read, or has no routed part that is known.</exception>
    public static ConfigAnswer Load(string path)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, "config.json") : path;
        try
        {
            return Parse(RegularFiles.ReadAllText(file), file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new DialectException($"{file}: cannot be read ({FileTrouble.Why(e)}); name a model's config.json or its folder");
        }
    }

    /// <param name="where">File or option that the text comes from, for messages.</param>
    public static ConfigAnswer Parse(string text, string where)
    {
        var whole = new ConfigPart(Json(text, where), where, "");
        return Answer(whole with { Version = LibraryVersion.OrNewest(whole.Text("transformers_version")) });
    }

    /// <summary>The text as JSON; Python's words for numbers that JSON does not have become texts.</summary>
    /// <exception cref="DialectException">It is no JSON object.</exception>
    public static JsonObject Json(string text, string where)
    {
        JsonNode? node;
        try
        {
            var plain = PythonsNumbers().Replace(text, m => m.Value[0] == '"' ? m.Value : $"\"{m.Value}\"");
            node = JsonNode.Parse(plain, documentOptions: new() { AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            throw new DialectException($"{where}: not JSON ({JsonTrouble.Why(e)}); correct the text");
        }
        return node as JsonObject
            ?? throw new DialectException($"{where}: a configuration is a JSON object, this is {ConfigPart.Brief(node)}; name a model's config.json");
    }

    /// <summary>What a type's configuration means that says nothing but its name: the library's defaults.</summary>
    public static ConfigAnswer Defaults(ModelType type) => Answer(new(new() { ["model_type"] = type.Name }, type.Name, ""), type);

    static ConfigAnswer Answer(ConfigPart whole)
    {
        var part = whole;
        var type = TypeOf(part);
        while (Parts.Select(part.Inner).FirstOrDefault(p => p is not null) is { } inner)
        {
            part = inner;
            type ??= TypeOf(part);
        }
        return Answer(part, type ?? throw Unknown(whole, part));
    }

    static ModelType? TypeOf(ConfigPart part)
    {
        if (part.Text("model_type") is { } name && ModelTypes.Find(name, part.Version) is { } type) return type;
        return part.Json["architectures"] is JsonArray classes
            ? classes.OfType<JsonValue>().Where(c => c.GetValueKind() == JsonValueKind.String)
                .Select(c => ModelTypes.FindArchitecture(c.GetValue<string>(), part.Version)).FirstOrDefault(t => t is not null)
            : null;
    }

    static ConfigAnswer Answer(ConfigPart part, ModelType type)
    {
        var dense = type.Dense?.Invoke(part) ?? part.First(type.Experts.Keys, nullCounts: true) switch
        {
            { Value: null } given => $"{given.Key} is null",
            null when type.Experts.Default is null => $"{type.Experts.Keys[0]} is absent",
            _ => null,
        } ?? ConfigPlaces.AllLayersDense(part);
        if (dense is not null) throw new DialectException($"{part.Where}: {type.Name} without a routed part: {part.At}{dense}; a dense model has no dialect");
        ConfigPlaces.Check(part, type);
        var (experts, _) = type.Experts.In(part);
        List<ConfigParameter> parameters = [];
        List<IgnoredKey> ignored = [];
        foreach (var setting in type.Settings)
        {
            var (parameter, notUnderstood) = setting.In(part);
            if (parameter is not null) parameters.Add(parameter);
            if (notUnderstood is { } given) ignored.Add(new(given.From, ConfigPart.Brief(given.Value), $"no value of {setting.Parameter} says this"));
        }
        ConfigChecks.Check(part, type, experts!, parameters);
        ignored.AddRange(RoutingWords.NotUnderstood(part, type));
        return new(type, experts!, parameters, ignored, type.Note?.Invoke(part) ?? "");
    }

    static DialectException Unknown(ConfigPart whole, ConfigPart part)
    {
        var named = part.Text("model_type") is null ? whole : part;
        if (named.Text("model_type") is not { } name)
            return new($"{whole.Where}: no model_type and no architectures that are known; add \"model_type\", as transformers writes it");
        var near = BuiltIn.Meant(name, ModelTypes.Names) is null ? null : $"near it are {string.Join(", ", BuiltIn.Nearest(name, ModelTypes.Names))}";
        var known = near is null ? "is known" : $"is known ({near})";
        return RoutingWords.In(part.Json).FirstOrDefault() is { } key
            ? new($"{whole.Where}: {named.At}model_type '{name}' is unknown, though {part.At}{key} speaks of routing; {(near is null ? "" : $"{near}; ")}"
                + "correct it, or write a dialect file with \"like\"")
            : new($"{whole.Where}: {named.At}model_type '{name}' has no routed part that {known} and no key speaks of experts; "
                + "a dense model has no dialect");
    }

    /// <summary>Strings, and what Python writes for numbers that JSON does not have.</summary>
    [GeneratedRegex("\"(?:[^\"\\\\]|\\\\.)*\"|-?Infinity|NaN", RegexOptions.Singleline | RegexOptions.NonBacktracking)]
    private static partial Regex PythonsNumbers();
}
