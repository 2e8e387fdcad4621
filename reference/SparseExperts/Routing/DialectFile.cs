using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using SparseExperts.Formats;

namespace SparseExperts.Routing;

/// <summary>
/// Dialects as JSON: <c>name</c>, <c>summary</c>, <c>source</c>, <c>evidence</c>, <c>parameters</c>, and one key an axis. A file may start
/// from a built-in dialect with <c>"like": "mesh.switch"</c> and say only what differs. Unknown keys are refused.
/// </summary>
public static class DialectFile
{
    const string Like = "like", Name = "name", Summary = "summary", Source = "source", EvidenceKey = "evidence", ParametersKey = "parameters";

    /// <summary>All axes, in order, preceded by what names the dialect.</summary>
    public static JsonObject ToJson(Dialect dialect)
    {
        var json = new JsonObject
        {
            [Name] = dialect.Name,
            [Summary] = dialect.Summary,
            [Source] = dialect.Source,
            [EvidenceKey] = dialect.Evidence.ToString().ToLowerInvariant(),
            [ParametersKey] = new JsonArray([.. dialect.Parameters.Select(p => (JsonNode)p!)]),
        };
        foreach (var axis in DialectAxis.All) json[axis.Name] = axis.ToJson(dialect);
        return json;
    }

    /// <param name="where">File or option that the text comes from, for messages.</param>
    public static Dialect Parse(string text, string where)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(text, documentOptions: Reading);
        }
        catch (JsonException e)
        {
            throw new DialectException($"{where}: not JSON ({JsonTrouble.Why(e)}); correct the text");
        }
        if (node is JsonObject json) return FromJson(json, where);
        throw new DialectException($"{where}: a dialect is a JSON object; write {{ \"like\": \"mesh.switch\", … }}");
    }

    internal static readonly JsonDocumentOptions Reading = new()
    {
        MaxDepth = 8,
        AllowDuplicateProperties = false,
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    public static Dialect FromJson(JsonObject json, string where)
    {
        try
        {
            var dialect = Start(json, where);
            foreach (var (key, value) in json)
                dialect = key switch
                {
                    Like or Name => dialect,
                    Summary => dialect with { Summary = Text(json, key, where) ?? "" },
                    Source => dialect with { Source = Text(json, key, where) ?? "" },
                    EvidenceKey => dialect with
                    {
                        Evidence = EvidenceOf(Text(json, key, where))
                        ?? throw new DialectException($"{where}: evidence cannot be {value?.ToJsonString()}; choose one of recorded, read, paper, own")
                    },
                    ParametersKey => dialect with { Parameters = Names(value, where) },
                    "alignment" when value?.ToJsonString() == "1" => dialect,       // files that had both names of the multiple: here it was off
                    _ => (AxisOf(key) ?? Axis(key, where)).With(dialect, value, where),
                };
            RequireName(dialect, where);
            DialectRules.Check(dialect);
            DialectRules.CheckTrainable(dialect);
            return dialect;
        }
        catch (InvalidOperationException e)
        {
            throw new DialectException($"{where}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    /// <summary>The dialect that the other keys change: a built-in one, or the default of every axis.</summary>
    static Dialect Start(JsonObject json, string where)
    {
        var like = Text(json, Like, where);
        if (like is null)
        {
            return new()
            {
                Name = Text(json, Name, where) ?? throw new DialectException($"{where}: no name; add \"name\", or \"like\" with a built-in one"),
                Summary = "",
                Source = where,
                Evidence = Evidence.Own,
                Parameters = [],
            };
        }
        return BuiltIn.Named(like) with
        {
            Name = Text(json, Name, where) ?? $"like {like}",
            Summary = $"like {like}, with changes",
            Source = where,
            Evidence = Evidence.Own,
        };
    }

    static void RequireName(Dialect dialect, string where)
    {
        if (dialect.Name.Length is > 0 and <= 100 && !dialect.Name.Any(char.IsControl)) return;
        throw new DialectException($"{where}: its name is empty, too long or holds control characters; give it one of up to 100 letters");
    }

    /// <summary>By name: a number is none.</summary>
    static Evidence? EvidenceOf(string? name) =>
        Enum.GetValues<Evidence>().Select(e => (Evidence?)e).FirstOrDefault(e => e.ToString()!.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>A built-in name, or JSON itself: what a case file may say. It names no other file, of which its messages would tell.</summary>
    public static Dialect OfCase(string text, string where) =>
        text.TrimStart().StartsWith('{') || !text.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            ? Resolve(text)
            : throw new DialectException($"{where}: its dialect is the name of a file; write a built-in name, or the dialect itself as JSON");

    /// <summary>A built-in name, a JSON file, or JSON itself.</summary>
    public static Dialect Resolve(string text)
    {
        if (text.TrimStart().StartsWith('{')) return Parse(text, "dialect");
        if (BuiltIn.Find(text) is { } known) return known;
        if (!text.EndsWith(".json", StringComparison.OrdinalIgnoreCase)) return BuiltIn.Named(text);
        try
        {
            return Parse(RegularFiles.ReadAllText(text), text);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DialectException($"{text}: cannot be read ({FileTrouble.Why(e)}); name a JSON file or a built-in dialect", isUnknownName: true);
        }
    }

    /// <summary>
    /// The dialect with parameters set as a case file sets them: those that the dialect's library has, the numbers of this mode.
    /// </summary>
    /// <param name="lenient">Parameters that the dialect does not have are passed over.</param>
    public static Dialect With(Dialect dialect, JsonObject parameters, string where, bool lenient = false)
    {
        foreach (var (key, value) in parameters)
        {
            var isKnown = dialect.Parameters.Contains(key) || IsParameter(dialect, key) || Common.Contains(key);
            if (lenient && !isKnown) continue;
            if (!isKnown)
                throw new DialectException($"{where}: {dialect.Name} has no parameter '{key}'; it has {string.Join(", ", dialect.Parameters)}");
            dialect = key switch
            {
                "capacity_factor" => Axis(key, where).With(dialect, value, where) with { EvalCapacityFactor = null },
                "balance_coefficient" => Axis(key, where).With(dialect, value, where) with { EvalBalanceCoefficient = null },
                "policy" => Axis(key, where).With(dialect, value, where) with { EvalPolicy = null },
                _ => (AxisOf(key) ?? Axis(key, where)).With(dialect, value, where),
            };
        }
        DialectRules.Check(dialect);
        return dialect;
    }

    /// <summary>Axes that files call by the name that some libraries give them.</summary>
    static readonly Dictionary<string, string> OtherNames = new()
    {
        ["noise_policy"] = "router_policy",
        ["select_on"] = "select_by",
        ["alignment"] = "capacity_multiple",
    };

    /// <summary>The axis of a parameter's name, or null.</summary>
    public static DialectAxis? AxisOf(string parameter) => DialectAxis.Find(OtherNames.GetValueOrDefault(parameter, parameter));

    /// <summary>Whether the dialect's library lets its users set an axis, by whatever name.</summary>
    public static bool IsParameter(Dialect dialect, string axis) => dialect.Parameters.Any(p => AxisOf(p)?.Name == axis);

    /// <summary>What every file may say: number formats and the experts' non-linearity, which are no part of the routing.</summary>
    static readonly string[] Common =
    [
        "activation", "activation_alpha", "activation_limit", "experts_dtype", "activation_dtype", "sum_dtype",
        "router_weight_dtype", "router_dtype", "logits_dtype", "score_dtype", "gate_dtype",
    ];

    static DialectAxis Axis(string key, string where) => DialectAxis.Find(key)
        ?? throw new DialectException($"{where}: no axis '{key}'; near it are {string.Join(", ", BuiltIn.Nearest(key, DialectAxis.All.Select(a => a.Name)))}");

    static string? Text(JsonObject json, string key, string where) => json[key] switch
    {
        null => null,
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        var other => throw new DialectException($"{where}: {key} cannot be {other.ToJsonString()}; give a text"),
    };

    static string[] Names(JsonNode? node, string where)
    {
        if (node is not JsonArray array || array.Any(n => n?.GetValueKind() != JsonValueKind.String))
            throw new DialectException($"{where}: parameters is a list of axis names; write [\"k\", …]");
        string[] names = [.. array.Select(n => n!.GetValue<string>())];
        if (Array.Find(names, name => AxisOf(name) is null) is not { } unknown) return names;
        throw new DialectException($"{where}: parameters name '{unknown}', which is no axis; remove it");
    }
}

/// <summary>Dialects inside other JSON: a run's configuration.</summary>
public sealed class DialectConverter : JsonConverter<Dialect>
{
    /// <summary>As a file of its own would be read: a name that comes twice, however deep, is an error and not the last one's value.</summary>
    public override Dialect Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        var text = document.RootElement.GetRawText();
        return Wrap(() => DialectFile.Parse(text, "dialect"));
    }

    public override void Write(Utf8JsonWriter writer, Dialect value, JsonSerializerOptions options) => DialectFile.ToJson(value).WriteTo(writer, options);

    static Dialect Wrap(Func<Dialect> read)
    {
        try
        {
            return read();
        }
        catch (DialectException e)
        {
            throw new JsonException(e.Message);
        }
    }
}
