using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SparseExperts.Formats;

/// <summary>What is wrong with JSON, or with what was to become a record, without the runtime's words and the names of this program's types.</summary>
public static partial class JsonTrouble
{
    /// <param name="where">Whether a line of it is named.</param>
    public static string Why(JsonException e, bool where = true)
    {
        var text = Place().Replace(e.Message.ReplaceLineEndings(" "), "");
        if (Missing().Match(text) is { Success: true } missing) return $"it lacks {missing.Groups[1].Value.Replace("'", "", StringComparison.Ordinal)}";
        if (Unknown().Match(text) is { Success: true } unknown) return $"nothing is called {unknown.Groups[1].Value}";
        if (Null().Match(text) is { Success: true } none) return $"{none.Groups[1].Value} is null";
        if (text.StartsWith("The JSON value could not be converted", StringComparison.Ordinal))
            return e.Path is { Length: > 2 } path ? $"the value of {path[2..]} is of another kind" : "it is no object";
        if (text.StartsWith("The input does not contain any JSON tokens", StringComparison.Ordinal)) return "it is empty";
        return text.TrimEnd('.') + (where && e.LineNumber is { } line ? string.Create(CultureInfo.InvariantCulture, $" at line {line + 1}") : "");
    }

    [GeneratedRegex(@"(?: Path: \S* \|)? LineNumber: \d+ \| BytePositionInLine: \d+\.?$")]
    private static partial Regex Place();

    [GeneratedRegex("missing required properties including: (.*?)\\.?$")]
    private static partial Regex Missing();

    [GeneratedRegex("^The JSON property '(.*)' could not be mapped")]
    private static partial Regex Unknown();

    [GeneratedRegex("^The (?:property or field|constructor parameter) '(.*?)'.* null")]
    private static partial Regex Null();
}
