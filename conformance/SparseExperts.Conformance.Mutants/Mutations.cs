using System.Globalization;
using System.Text.RegularExpressions;

namespace SparseExperts.Conformance.Mutants;

/// <summary>
/// Faults that people make, as changes of one PTX instruction: operands swapped, + for −, another comparison, a guard turned round, an integer one off,
/// a float constant off by 2⁻¹¹ of itself, a barrier, store or copy left out, another distance of a shuffle.
/// </summary>
public static partial class Mutations
{
    static readonly string[] Comparisons = ["lt", "le", "gt", "ge", "eq", "ne"];

    /// <summary>Every fault of every kernel in a file of PTX.</summary>
    public static IEnumerable<Mutant> Of(string file, string text)
    {
        var (lines, kernel) = (text.Split('\n'), (string?)null);
        for (var i = 0; i < lines.Length; i++)
        {
            if (Entry().Match(lines[i]) is { Success: true } entry) kernel = entry.Groups[1].Value;
            if (kernel is null || Instruction().Match(lines[i]) is not { Success: true } instruction) continue;
            foreach (var (what, changed) in Of(instruction).DistinctBy(m => m.Changed))
                if (changed != lines[i]) yield return new(file, kernel, i + 1, what, lines[i].Trim(), changed);
        }
    }

    static IEnumerable<(string What, string Changed)> Of(Match instruction)
    {
        string guard = instruction.Groups["guard"].Value, op = instruction.Groups["op"].Value;
        var operands = Operand().Matches(instruction.Groups["operands"].Value).Select(m => m.Value.Trim()).ToArray();
        var parts = op.Split('.');

        string With(string[] changed) => Line(guard, op, changed);
        string Op(params string[] changed) => Line(guard, string.Join('.', changed), operands);

        if (guard.Length > 0) yield return ("guard turned round", Line(Turned(guard), op, operands));
        if (parts[0] is "st" or "bar" or "red" or "atom") yield return ("left out", "");
        if (HasOrder(parts)) yield return ("operands swapped", With(Swapped(operands, 1, 2)));
        if (parts[0] is "fma" or "mad") yield return ("operands swapped", With(Swapped(operands, 1, 3)));
        if (Other(parts[0]) is { } other) yield return ($"{other} for {parts[0]}", Op([other, .. parts[1..].Where(p => p is not ("lo" or "hi"))]));
        if (parts[0] == "setp" && Array.IndexOf(Comparisons, parts[1]) is >= 0 and var comparison)
        {
            yield return ("comparison's edge", Op([parts[0], Comparisons[comparison ^ 1], .. parts[2..]]));
            if (comparison < 4) yield return ("comparison turned round", Op([parts[0], Comparisons[3 - comparison], .. parts[2..]]));
        }
        if (op.StartsWith("shfl", StringComparison.Ordinal) && int.TryParse(operands[2], out var distance))
            yield return ("distance of a shuffle", With(Replaced(operands, 2, Text(distance == 1 ? 2 : distance / 2))));
        if (parts[0] is "bar" or "shfl" or "bra") yield break;
        for (var i = 0; i < operands.Length; i++)
        {
            if (int.TryParse(operands[i], out var constant))
            {
                yield return ("constant one off", With(Replaced(operands, i, Text(constant + 1))));
                yield return ("constant one off", With(Replaced(operands, i, Text(constant - 1))));
            }
            if (Address().Match(operands[i]) is { Success: true } address)
            {
                var offset = address.Groups[2].Success ? int.Parse(address.Groups[2].Value, CultureInfo.InvariantCulture) : 0;
                yield return ("address one word off", With(Replaced(operands, i, $"[{address.Groups[1].Value}+{offset + 4}]")));
            }
            if (operands[i].StartsWith("0f", StringComparison.Ordinal))
                yield return ("float constant off", With(Replaced(operands, i, $"0f{Convert.ToUInt32(operands[i][2..], 16) ^ 0x1000:X8}")));
        }
    }

    static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    static string Turned(string guard) => guard.StartsWith("@!", StringComparison.Ordinal) ? "@" + guard[2..] : "@!" + guard[1..];

    /// <summary>Whether an instruction tells its first operand from its second.</summary>
    static bool HasOrder(string[] parts) => parts[0] switch
    {
        "sub" or "div" or "shl" or "shr" or "rem" or "selp" => true,
        "setp" => parts[1] is not ("eq" or "ne" or "nan"),
        _ => false,
    };
    static string? Other(string op) => op switch
    {
        "add" => "sub",
        "sub" => "add",
        "min" => "max",
        "max" => "min",
        "and" => "or",
        "or" => "and",
        _ => null,
    };

    static string Line(string guard, string op, string[] operands) => $"\t{guard} {op} \t{string.Join(", ", operands)};";

    static string[] Swapped(string[] operands, int a, int b)
    {
        string[] swapped = [.. operands];
        (swapped[a], swapped[b]) = (swapped[b], swapped[a]);
        return swapped;
    }

    static string[] Replaced(string[] operands, int at, string by)
    {
        string[] replaced = [.. operands];
        replaced[at] = by;
        return replaced;
    }

    [GeneratedRegex(@"\.visible \.entry (\w+)\(")]
    private static partial Regex Entry();

    [GeneratedRegex(@"^\s+(?<guard>@!?%p\d+)?\s*(?<op>[a-z][a-z0-9_.]*)\s+(?<operands>[^;]+);")]
    private static partial Regex Instruction();

    /// <summary>Vectors and addresses are one operand each.</summary>
    [GeneratedRegex(@"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*")]
    private static partial Regex Operand();

    /// <summary>An address in memory that a register holds; parameters have names.</summary>
    [GeneratedRegex(@"^\[(%\w+)(?:\+(-?\d+))?\]$")]
    private static partial Regex Address();
}
