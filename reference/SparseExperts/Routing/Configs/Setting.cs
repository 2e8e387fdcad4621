using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>How one parameter of a dialect is filled: from which keys, what an absent one means, and how the value is read.</summary>
/// <param name="Parameter">As in case files.</param>
/// <param name="Keys">The model type's own key first, then other spellings of it; none for what the rule itself says.</param>
/// <param name="Default">The library's default, as a configuration would say it; null if there is none.</param>
/// <param name="Read">From the configuration's value to the parameter's.</param>
public sealed record Setting(string Parameter, IReadOnlyList<string> Keys, JsonNode? Default, Func<Given, Reading> Read)
{
    /// <summary>Absent, and null, say nothing: there is no such parameter then.</summary>
    public bool Optional { get; init; }

    /// <summary>The release of the library in which the default became what it is, and what it was before.</summary>
    public (LibraryVersion Release, JsonNode Default)? Before { get; init; }

    /// <summary>Null is a value of its own; of a switch it always is, and means no.</summary>
    public bool NullCounts { get; init; }

    /// <summary>A value that the dialect has by itself and that is not printed.</summary>
    public JsonNode? Unless { get; init; }

    /// <summary>The parameter only exists then.</summary>
    public Func<ConfigPart, bool>? When { get; init; }

    /// <returns>The parameter, if there is one; the key that was found and not understood, if so.</returns>
    public (ConfigParameter? Parameter, Given? NotUnderstood) In(ConfigPart part)
    {
        if (When is not null && !When(part)) return (null, null);
        var found = part.First(Keys, NullCounts || Default?.GetValueKind() is JsonValueKind.True or JsonValueKind.False);
        if (found is null && Default is null)
            return Optional ? (null, null) : throw new DialectException($"{part.Where}: {part.At}{Keys[0]} is absent and the library has no default; add it");
        var earlier = Before is { } before && part.Version.IsBefore(before.Release) ? before : default;
        var given = found ?? new Given(part, Keys.Count > 0 ? Keys[0] : "", earlier.Default ?? Default, IsDefault: true);
        var reading = Read(given);
        if (!reading.Understood) return (null, given);
        if (reading.Value is not { } value || (Unless is not null && JsonNode.DeepEquals(value, Unless))) return (null, null);
        var from = Keys.Count > 0 ? given.From : "the rule";
        return (new(Parameter, value, given.IsDefault && earlier.Default is not null ? $"{from} before transformers {earlier.Release}" : from), null);
    }
}

/// <summary>A key that the library's rule does not read, or reads as this alone: with another value it is not understood.</summary>
public sealed record FixedKey(string Key, params JsonNode?[] Values)
{
    public bool Agrees(JsonNode? value) => value is null || Values.Any(v => JsonNode.DeepEquals(v, value));
}
