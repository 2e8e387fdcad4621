using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Oracle;

namespace SparseExperts.Cli;

/// <summary>How <c>moe compare --rows</c> says what it found.</summary>
static class CompareRows
{
    static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Prints every layer, and the sum where there are several; the exit code.</summary>
    public static int Print(RowComparison[] layers, bool json, bool allowsRounding)
    {
        if (json)
            foreach (var layer in layers) Console.WriteLine(Json(layer).ToJsonString(Line));
        else
        {
            foreach (var layer in layers) PrintStages(layer);
            if (layers.Length > 1) Console.WriteLine($"\n{RowComparison.Sum("all", layers).Say()}");
        }
        return layers.All(l => l.IsEqual || allowsRounding && l.IsRounding) ? ExitCode.Ok : ExitCode.Differs;
    }

    static void PrintStages(RowComparison layer)
    {
        Console.WriteLine($"{layer.Layer}: {layer.Say()}");
        foreach (var stage in layer.Stages) Console.WriteLine($"  {(stage.Apart == 0 ? "equal" : "departs"),-9} {stage.Stage}{Describe(stage)}");
        if (layer.Reordered > 0) Console.WriteLine($"  {Number(layer.Reordered)} rows have their experts in another order, which the dialect leaves open");
        if (layer.Left.Count > 0) Console.WriteLine($"  of the whole call, not compared: {string.Join(", ", layer.Left)}");
        foreach (var note in layer.Notes) Console.WriteLine($"  note: {note}");
    }

    static string Describe(RowStage stage)
    {
        if (stage.First is not { } first) return "";
        var distance = stage.Distance() is { Length: > 0 } text ? $", {text}" : "";
        var causes = string.Join(", ", stage.Causes.Where(c => c.Value > 0).Select(c => $"{Number(c.Value)} {Word(c.Key)}"));
        string Place(RowPlace place) => $"group {Number(place.Group)}, token {Number(place.Token)}";
        var values = string.Create(CultureInfo.InvariantCulture, $"{first.FirstValue:R} and {first.SecondValue:R}");
        var places = $"first: A {Place(first.First)}, B {Place(first.Second)}, number {Number(first.Element)}: {values}";
        return $"  {Number(stage.Apart)} of {Number(stage.Rows)} rows{distance} ({causes}); {places}";
    }

    static string Word(RowCause cause) => cause switch
    {
        RowCause.Rounding => "by rounding",
        RowCause.Batch => "by other tokens beside it",
        RowCause.Inputs => "by other inputs",
        RowCause.Unknown => "unknown",
        RowCause.Unexplained => "unexplained",
        _ => throw new ArgumentOutOfRangeException(nameof(cause), cause, "unknown cause"),
    };

    static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    static JsonObject Json(RowComparison layer) => new()
    {
        ["layer"] = layer.Layer,
        ["paired_by"] = layer.PairedBy,
        ["rows"] = layer.Pairs,
        ["unpaired_a"] = layer.AloneFirst,
        ["unpaired_b"] = layer.AloneSecond,
        ["equal"] = layer.IsEqual,
        ["rows_apart"] = layer.Apart,
        ["first"] = layer.First?.Stage,
        ["rounding_explains"] = layer.IsEqual ? null : layer.IsRounding,
        ["reordered"] = layer.Reordered,
        ["stages"] = new JsonObject(layer.Stages.Select(s => KeyValuePair.Create(s.Stage, (JsonNode?)Json(s)))),
        ["not_compared"] = new JsonArray([.. layer.Left.Select(l => (JsonNode)JsonValue.Create(l)!)]),
        ["notes"] = new JsonArray([.. layer.Notes.Select(n => (JsonNode)JsonValue.Create(n)!)]),
        ["say"] = layer.Say(),
    };

    static JsonObject Json(RowStage stage) => new()
    {
        ["rows"] = stage.Rows,
        ["apart"] = stage.Apart,
        ["units"] = stage.Units,
        ["format"] = stage.Format is { } format ? format.ToString().ToLowerInvariant() : null,
        ["by_rounding"] = stage.Causes[RowCause.Rounding],
        ["by_batch"] = stage.Causes[RowCause.Batch],
        ["by_inputs"] = stage.Causes[RowCause.Inputs],
        ["unknown"] = stage.Causes[RowCause.Unknown],
        ["unexplained"] = stage.Causes[RowCause.Unexplained],
        ["first"] = stage.First is not { } first ? null : new JsonObject
        {
            ["call"] = first.Call,
            ["a"] = Json(first.First),
            ["b"] = Json(first.Second),
            ["number"] = first.Element,
            ["value_a"] = Value(first.FirstValue),
            ["value_b"] = Value(first.SecondValue),
            ["engine"] = first.Engine switch { 1 => "a", 2 => "b", _ => null },
        },
    };

    static JsonObject Json(RowPlace place) => new() { ["group"] = place.Group, ["token"] = place.Token };

    static JsonValue Value(double value) =>
        double.IsFinite(value) ? JsonValue.Create(value) : JsonValue.Create(value.ToString(CultureInfo.InvariantCulture));
}
