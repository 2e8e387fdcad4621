using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Formats;

namespace SparseExperts.Routing;

/// <summary>
/// One axis of the dialect space: a property of <see cref="Dialect"/> with its name in files, its meaning, and its values. Files, the
/// command's tables and parameters of case files all go through this list, so that an axis is declared once.
/// </summary>
public sealed class DialectAxis
{
    readonly PropertyInfo _property;
    readonly Type _type;

    static readonly Dialect Blank = new() { Name = "", Summary = "", Source = "", Evidence = Evidence.Paper, Parameters = [] };

    /// <summary>What a dialect has that says nothing.</summary>
    readonly object? _default;

    /// <summary>The values of an enumeration with their names in files.</summary>
    readonly (FieldInfo Field, object Value, string Name)[] _named;

    DialectAxis(PropertyInfo property)
    {
        _property = property;
        _type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        IsOptional = Nullable.GetUnderlyingType(property.PropertyType) is not null;
        var means = property.GetCustomAttribute<MeansAttribute>()!;
        _default = property.GetValue(Blank);
        var fields = _type.IsEnum ? _type.GetFields(BindingFlags.Public | BindingFlags.Static) : [];
        _named = Array.ConvertAll(fields, f => (f, f.GetValue(null)!, Spell(f)));
        (Name, Text, Source) = (JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name), means.Text, means.Source);
    }

    /// <summary>Name in files, snake_case.</summary>
    public string Name { get; }
    public string Text { get; }
    public string Source { get; }
    public bool IsOptional { get; }
    public bool IsFlag => _type == typeof(bool);
    public bool IsWhole => _type == typeof(int);

    /// <summary>Whether its values are number formats.</summary>
    public bool IsFormat => _type == typeof(NumberFormat);

    /// <summary>All axes, in the order of the pipeline.</summary>
    public static IReadOnlyList<DialectAxis> All { get; } =
        [.. typeof(Dialect).GetProperties().Where(p => p.GetCustomAttribute<MeansAttribute>() is not null).Select(p => new DialectAxis(p))];

    static readonly Dictionary<string, DialectAxis> ByName = All.ToDictionary(a => a.Name);

    public static DialectAxis? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>Names and meanings of the values, where they are few and named.</summary>
    public IReadOnlyList<(string Name, string Text, string Source)> Values =>
        [.. from v in _named let means = v.Field.GetCustomAttribute<MeansAttribute>() select (v.Name, means?.Text ?? "", means?.Source ?? "")];

    /// <summary>Names of the values, number formats included; empty where they are numbers, flags or sums.</summary>
    public IReadOnlyList<string> Names => _type == typeof(NumberFormat) ? NumberFormats.Names : [.. Values.Select(v => v.Name)];

    public object? Get(Dialect dialect) => _property.GetValue(dialect);

    /// <summary>The value as text, as it stands in files; null for an axis that is not set.</summary>
    public string? Format(Dialect dialect) => Get(dialect) is { } value ? Format(value) : null;

    /// <summary>A value of the axis as text; <c>null</c> for none.</summary>
    public string Spelled(object? value) => value is null ? "null" : Format(value);

    string Format(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        int number => number.ToString(CultureInfo.InvariantCulture),
        NumberFormat format => format.Name(),
        Enum => _named.First(v => v.Value.Equals(value)).Name,
        GroupScore score => score.ToString(),
        _ => throw new ArgumentOutOfRangeException(nameof(value), value, $"{Name} has no text"),
    };

    /// <summary>Whether the dialect's value is one of those that have a name and a meaning.</summary>
    public bool IsKnown(Dialect dialect) => Get(dialect) is not Enum value || Enum.IsDefined(_type, value);

    /// <summary>Whether the dialect has the value that a dialect has which says nothing.</summary>
    public bool IsDefault(Dialect dialect) => Equals(Get(dialect), _default);

    /// <summary>That value as text; null where it is not set.</summary>
    public string? Default => Format(Blank);

    /// <summary>The dialect with this axis as another has it.</summary>
    public Dialect Copied(Dialect from, Dialect to) => Set(to, _property.GetValue(from));

    /// <summary>The dialect with the value that a dialect has which says nothing.</summary>
    public Dialect Reset(Dialect dialect) => Set(dialect, _default);

    Dialect Set(Dialect dialect, object? value)
    {
        var changed = dialect with { };
        _property.SetValue(changed, value);
        return changed;
    }

    /// <summary>The dialect with this axis changed.</summary>
    public Dialect With(Dialect dialect, JsonNode? value, string where) => Set(dialect, value is null && IsOptional ? null : Parse(value, where));

    /// <summary>The dialect with this axis set from text, as on a command line.</summary>
    public Dialect With(Dialect dialect, string text, string where) => With(dialect, Node(text), where);

    JsonNode Node(string text)
    {
        if (_type == typeof(bool) && bool.TryParse(text, out var flag)) return JsonValue.Create(flag);
        var isNumber = _type == typeof(double) || _type == typeof(int);
        if (isNumber && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
            return JsonValue.Create(number);
        return JsonValue.Create(text)!;
    }

    object Parse(JsonNode? node, string where)
    {
        if (node is JsonValue value)
        {
            var kind = value.GetValueKind();
            if (_type == typeof(bool) && kind is JsonValueKind.True or JsonValueKind.False) return kind == JsonValueKind.True;
            if (kind == JsonValueKind.Number && double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture) is var number)
            {
                if (_type == typeof(double)) return number;
                if (_type == typeof(int) && number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue) return (int)number;
            }
            if (kind == JsonValueKind.String && value.GetValue<string>() is var text)
            {
                if (_type == typeof(GroupScore) && GroupScore.Parse(text) is { } score) return score;
                if (_type == typeof(NumberFormat) && NumberFormats.OfName(text) is { } format) return format;
                if (_named.FirstOrDefault(v => v.Name == text) is { Value: { } named }) return named;
            }
        }
        throw new DialectException($"{where}: {Name} cannot be {node?.ToJsonString() ?? "null"}; {Allowed}");
    }

    string Allowed => _type == typeof(bool) ? "give true or false"
        : _type == typeof(int) ? "give a whole number"
        : _type == typeof(double) ? "give a number"
        : _type == typeof(GroupScore) ? "give max or topN_sum"
        : _type == typeof(NumberFormat) ? $"choose one of {string.Join(", ", NumberFormats.Names)}"
        : $"choose one of {string.Join(", ", Values.Select(v => v.Name))}";

    public JsonNode? ToJson(Dialect dialect) => Get(dialect) switch
    {
        null => null,
        bool flag => JsonValue.Create(flag),
        double number => JsonValue.Create(number),
        int number => JsonValue.Create(number),
        var other => JsonValue.Create(Format(other)),
    };

    static string Spell(FieldInfo field) => field.GetCustomAttribute<MeansAttribute>()?.Spelled ?? JsonNamingPolicy.SnakeCaseLower.ConvertName(field.Name);
}
