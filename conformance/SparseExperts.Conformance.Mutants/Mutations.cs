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

        if (guard.Length > 0) yield return ("guard turned round", Line(guard.StartsWith("@!", StringComparison.Ordinal) ? "@" + guard[2..] : "@!" + guard[1..], op, operands));
        if (parts[0] is "st" or "bar" or "red" or "atom") yield return ("left out", "");
        if (parts[0] is "sub" or "div" or "shl" or "shr" or "rem" || (parts[0] == "setp" && parts[1] is not ("eq" or "ne" or "nan"))) yield return ("operands swapped", Line(guard, op, Swapped(operands, 1, 2)));
        if (parts[0] == "selp") yield return ("operands swapped", Line(guard, op, Swapped(operands, 1, 2)));
        if (parts[0] is "fma" or "mad") yield return ("operands swapped", Line(guard, op, Swapped(operands, 1, 3)));
        if (Other(parts[0]) is { } other) yield return ($"{other} for {parts[0]}", Line(guard, string.Join('.', [other, .. parts[1..].Where(p => p is not ("lo" or "hi"))]), operands));
        if (parts[0] == "setp" && Array.IndexOf(Comparisons, parts[1]) is >= 0 and var comparison)
        {
            yield return ("comparison's edge", Line(guard, string.Join('.', [parts[0], Comparisons[comparison ^ 1], .. parts[2..]]), operands));
            if (comparison < 4) yield return ("comparison turned round", Line(guard, string.Join('.', [parts[0], Comparisons[3 - comparison], .. parts[2..]]), operands));
        }
        if (op.StartsWith("shfl", StringComparison.Ordinal) && int.TryParse(operands[2], out var distance))
            yield return ("distance of a shuffle", Line(guard, op, Replaced(operands, 2, distance == 1 ? "2" : (distance / 2).ToString(CultureInfo.InvariantCulture))));
        if (parts[0] is "bar" or "shfl" or "bra") yield break;
        for (var i = 0; i < operands.Length; i++)
        {
            if (int.TryParse(operands[i], out var constant))
                foreach (var step in (int[])[1, -1]) yield return ("constant one off", Line(guard, op, Replaced(operands, i, (constant + step).ToString(CultureInfo.InvariantCulture))));
            if (Address().Match(operands[i]) is { Success: true } address)
                yield return ("address one word off", Line(guard, op, Replaced(operands, i, $"[{address.Groups[1].Value}+{(address.Groups[2].Success ? int.Parse(address.Groups[2].Value, CultureInfo.InvariantCulture) : 0) + 4}]")));
            if (operands[i].StartsWith("0f", StringComparison.Ordinal))
                yield return ("float constant off", Line(guard, op, Replaced(operands, i, $"0f{Convert.ToUInt32(operands[i][2..], 16) ^ 0x1000:X8}")));
        }
    }

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
