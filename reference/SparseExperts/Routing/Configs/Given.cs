using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>
/// A part of a configuration file, and where it stands. A key may lie deeper: <c>ffn_config.moe_top_k</c>.
/// </summary>
/// <param name="Json">The part.</param>
/// <param name="Where">The file, for messages.</param>
/// <param name="At">The path to the part, empty or ending in a dot, for messages.</param>
public sealed record ConfigPart(JsonObject Json, string Where, string At)
{
    /// <summary>The release of the library whose rules and defaults hold.</summary>
    public LibraryVersion Version { get; init; } = LibraryVersion.Newest;

    /// <summary>Whether the key is there, null included.</summary>
    public bool Has(string key, out JsonNode? value)
    {
        value = null;
        if (key.IndexOf('.') is > 0 and var dot)
            return Json[key[..dot]] is JsonObject deeper && (this with { Json = deeper }).Has(key[(dot + 1)..], out value);
        return Json.TryGetPropertyValue(key, out value);
    }

    /// <summary>The first of the spellings that has a value; if none has, and null counts, the first that is null.</summary>
    public Given? First(IReadOnlyList<string> spellings, bool nullCounts = false)
    {
        Given? isNull = null;
        foreach (var key in spellings)
            if (Has(key, out var value))
            {
                var given = new Given(this, key, value, IsDefault: false);
                if (value is not null) return given;
                isNull ??= given;
            }
        return nullCounts ? isNull : null;
    }

    public bool IsTrue(string key) => Json[key] is { } value && value.GetValueKind() == JsonValueKind.True;

    public ConfigPart? Inner(string key) => Json[key] switch
    {
        null => null,
        JsonObject inner => this with { Json = inner, At = $"{At}{key}." },
        var other => throw Refusal(key, other, "give an object, the part of the file that it names"),
    };

    public string? Text(string key) => Json[key] switch
    {
        null => null,
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        var other => throw Refusal(key, other, "give a text"),
    };

    public DialectException Refusal(string key, JsonNode? value, string remedy) => new($"{Where}: {At}{key} cannot be {Brief(value)}; {remedy}");

    /// <summary>A value in few letters.</summary>
    public static string Brief(JsonNode? value)
    {
        var text = value?.ToJsonString(Plain) ?? "null";
        return text.Length > 60 ? text[..60] + "…" : text;
    }

    static readonly JsonSerializerOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}

/// <summary>The value of a key, as it was found or as the library's class has it.</summary>
public readonly record struct Given(ConfigPart Part, string Key, JsonNode? Value, bool IsDefault)
{
    public string From => IsDefault ? $"the library's default of {Key}" : Part.At + Key;

    public DialectException Refusal(string remedy) => Part.Refusal(Key, Value, remedy);
}
