using System.Text.Json;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>A part of a JSON file that knows where it stands, so that what is wrong with it is said in one line.</summary>
/// <param name="Value">Undefined where the file does not have it.</param>
readonly record struct JsonPart(JsonElement Value, string Place)
{
    public bool IsMissing => Value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;

    public JsonPart this[string name]
    {
        get
        {
            if (IsMissing) return new(default, $"{Place}.{name}");
            if (Value.ValueKind != JsonValueKind.Object) throw Wrong("an object");
            return new(Value.TryGetProperty(name, out var part) ? part : default, Place.Length == 0 ? name : $"{Place}.{name}");
        }
    }

    /// <summary>What the part's <c>type</c> says; null where it has none.</summary>
    public string? Type => this["type"] is { IsMissing: false } type ? type.Text() : null;

    public string Text()
    {
        if (Value.ValueKind != JsonValueKind.String) throw Wrong("a string");
        try
        {
            return Value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw Wrong("text, without halves of pairs");
        }
    }

    public string Text(string otherwise) => IsMissing ? otherwise : Text();

    public bool Flag(bool otherwise) => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ when IsMissing => otherwise,
        _ => throw Wrong("true or false"),
    };

    public int Whole(int most) => Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var number) && number >= 0 && number <= most
        ? number
        : throw Wrong($"a number from 0 to {most}");

    public double Number() => Value.ValueKind == JsonValueKind.Number && Value.TryGetDouble(out var number) && double.IsFinite(number)
        ? number
        : throw Wrong("a finite number");

    /// <summary>The elements of a list; none where it is missing.</summary>
    public IEnumerable<JsonPart> Each()
    {
        if (IsMissing) return [];
        if (Value.ValueKind != JsonValueKind.Array) throw Wrong("a list");
        var place = Place;
        return Value.EnumerateArray().Select((e, i) => new JsonPart(e, $"{place}[{i}]"));
    }

    /// <summary>Names and values of an object.</summary>
    public IEnumerable<(string Name, JsonPart Value)> Entries()
    {
        if (Value.ValueKind != JsonValueKind.Object) throw Wrong("an object");
        var (place, entries) = (Place, new List<(string, JsonPart)>());
        try
        {
            foreach (var property in Value.EnumerateObject()) entries.Add((property.Name, new(property.Value, $"{place}.{property.Name}")));
        }
        catch (InvalidOperationException)
        {
            throw Wrong("an object whose names are text");
        }
        return entries;
    }

    public DataException Wrong(string wanted) => new($"{Place}: must be {wanted}");

    /// <summary>A type that this program does not know.</summary>
    public DataException Unsupported() => new($"{Place}: type '{Type}' is unsupported") { IsUnsupported = true };
}
