using System.Text.Json.Nodes;
using SparseExperts.Describing;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Cli;

/// <summary><c>moe dialects --precision</c>: the number formats of the stages side by side.</summary>
static class FormatTable
{
    public static void Print(IReadOnlyList<Dialect> dialects)
    {
        string[] experts = [.. FormatText.Experts.Where(axis => dialects.Any(d => FormatText.Stages(d).Any(s => s.Axis == axis)))];
        string[] axes = [.. FormatText.Router, .. experts];
        string[][] rows = [["dialect", .. axes, "known"], .. dialects.Select(d => Row(d, axes))];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length))];
        Console.WriteLine("""
            In which format each stage computes in a model of a narrow format (bfloat16): a name is fixed, "as the tokens" follows them; of frameworks whose
            calls were recorded in float32 alone nothing else is known. Logits follow the router. In a model in float32 nothing differs.

            """);
        for (var i = 0; i < rows.Length; i++)
        {
            Console.WriteLine(string.Join("  ", rows[i].Select((cell, c) => cell.PadRight(widths[c]))).TrimEnd());
            if (i == 0) Console.WriteLine(string.Join("  ", widths.Select(w => new string('─', w))));
        }
    }

    static string[] Row(Dialect d, string[] axes) => [d.Name, .. axes.Select(axis => FormatText.Of(d, axis)), d.Evidence.ToString().ToLowerInvariant()];

    /// <summary>One object a stage whose numbers are of another format than the dialect's.</summary>
    public static JsonArray Json(IEnumerable<FormatDeparture> departures) => new([.. departures.Select(d => (JsonNode)new JsonObject
    {
        ["axis"] = d.Change.Axis,
        ["is"] = d.Change.Is,
        ["instead_of"] = d.Change.InsteadOf,
        ["claim"] = d.Claim,
    })]);

    /// <summary>One object a dialect: name, a text for each stage of the router, and those of the experts that have a format of their own.</summary>
    public static JsonArray Json(IEnumerable<Dialect> dialects) => new([.. dialects.Select(d =>
    {
        var json = new JsonObject { ["name"] = d.Name };
        foreach (var (axis, format) in FormatText.Stages(d)) json[axis] = format;
        return (JsonNode)json;
    })]);
}
