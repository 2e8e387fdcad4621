using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Oracle;

/// <summary>
/// Claims that were printed in decimal: <c>claim_digits</c> {"claim.gate": 4} says that they have four significant digits, so that half a unit of the last
/// is theirs to be off by.
/// </summary>
static class CaseDigits
{
    public const string Key = "claim_digits";

    const int Most = 17;

    /// <summary>Reads the digits and takes them out of the parameters.</summary>
    public static IReadOnlyDictionary<string, int> Take(string path, JsonObject parameters)
    {
        if (!parameters.TryGetPropertyValue(Key, out var node)) return new Dictionary<string, int>();
        parameters.Remove(Key);
        if (node is not JsonObject digits)
            throw new CaseException($"{path}: {Key} is {node?.ToJsonString() ?? "null"}; write an object such as {{\"claim.gate\": 4}}");
        var read = new Dictionary<string, int>();
        foreach (var (name, value) in digits)
        {
            if (!name.StartsWith("claim.", StringComparison.Ordinal))
                throw new CaseException($"{path}: {Key} names {name}, which is no claim; name claims only");
            var isNumber = value is JsonValue && value.GetValueKind() == JsonValueKind.Number;
            if (!isNumber || !value!.AsValue().TryGetValue<int>(out var count) || count is < 1 or > Most)
                throw new CaseException($"{path}: {Key} gives {name} {value?.ToJsonString() ?? "null"} digits; give a whole number from 1 to {Most}");
            read[name] = count;
        }
        return read;
    }

    /// <summary>The tensors with their digits.</summary>
    public static IEnumerable<CaseTensor> On(string path, IReadOnlyList<CaseTensor> tensors, IReadOnlyDictionary<string, int> digits)
    {
        var names = tensors.Select(t => t.Name).ToHashSet();
        if (digits.Keys.FirstOrDefault(name => !names.Contains(name)) is { } missing)
            throw new CaseException($"{path}: {Key} names {missing}, which the file does not hold; correct the name");
        return tensors.Select(t => digits.TryGetValue(t.Name, out var count) ? t with { Digits = count } : t);
    }

    /// <summary>Half a unit of the last digit of a printed number; 0 for 0, which is printed exactly.</summary>
    public static double HalfUnit(int? digits, double value)
    {
        if (digits is not { } count || value == 0 || !double.IsFinite(value)) return 0;
        // 1.234E+005 says the power of ten of the first digit.
        var text = value.ToString("E16", CultureInfo.InvariantCulture);
        var first = int.Parse(text.AsSpan(text.IndexOf('E') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        return 0.5 * double.Parse($"1E{first - count + 1}", CultureInfo.InvariantCulture);
    }
}
