using System.Globalization;
using System.Text.Json.Nodes;
using SparseExperts.Checking;
using SparseExperts.Checking.Hub;
using SparseExperts.Hub;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe compare --model</c>: two engines' recordings of one model, and what part of their difference comes from routes.</summary>
static class CompareModels
{
    public static int Run(string folder, IReadOnlyList<(string Name, string First, string Second)> pairs, bool json, bool strict)
    {
        using var hub = HubFolder.Load(Found.As(Wanted.Checkpoint, folder));
        List<LogProbabilityShift> shifts = [];
        var worst = ExitCode.Ok;
        foreach (var (name, first, second) in pairs)
        {
            try
            {
                using var backend = new ScalarBackend<Float64>();
                shifts.Add(RouteReplay.Run(hub, Recording.Load(first), Recording.Load(second), backend));
                if (json) Console.WriteLine(Json(name, shifts[^1]).ToJsonString());
            }
            catch (Exception e)
            {
                var failure = Failure.Of(e).In(first);      // the other pairs are compared
                worst = Failure.Worst([worst, failure.Code]);
                if (json) Console.WriteLine(failure.ToJson(first).ToJsonString());
                else failure.Print();
            }
        }
        if (shifts.Count == 0) return worst;
        var all = LogProbabilityShift.Sum(shifts);
        if (!json) Print(all);
        var differs = !double.IsFinite(all.All.Total) || strict && (all.All.Total > 0 || all.Apart.Tokens > 0);
        return Failure.Worst([worst, differs ? ExitCode.Differs : ExitCode.Ok]);
    }

    static void Print(LogProbabilityShift shift)
    {
        string[][] rows =
        [
            ["tokens", "number", "|Δ log p|", "from routes", "from the rest"],
            Row("routed otherwise", shift.Apart),
            Row("routed alike", shift.Together),
            Row("all", shift.All),
        ];
        Table(rows);
        Console.WriteLine();
        string[] Layer(ShiftOfLayer layer) => [layer.Name, Text(layer.TokensApart), Size(shift.All.Mean(layer.Alone))];
        Table([["layer", "tokens apart", "its routes alone"], .. shift.Layers.Select(Layer)]);
        Console.WriteLine($"\n{shift.Say()}");
    }

    static string[] Row(string name, ShiftOfTokens of) => [name, Text(of.Tokens), Size(of.Mean(of.Total)), Size(of.Mean(of.Routes)), Size(of.Mean(of.Rest))];

    static void Table(string[][] rows)
    {
        int[] widths = [.. rows[0].Select((_, c) => rows.Max(r => r[c].Length))];
        string Padded(string cell, int column) => column == 0 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]);
        foreach (var row in rows) Console.WriteLine(string.Join("  ", row.Select(Padded)));
    }

    static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    static string Size(double value) => value.ToString("G3", CultureInfo.InvariantCulture);

    static JsonObject Json(string name, LogProbabilityShift shift) => new()
    {
        ["call"] = name,
        ["tokens"] = shift.All.Tokens,
        ["mean"] = Number(shift.Mean),
        ["largest"] = Number(shift.Largest),
        ["all"] = Json(shift.All),
        ["routed_otherwise"] = Json(shift.Apart),
        ["routed_alike"] = Json(shift.Together),
        ["layers"] = new JsonArray([.. shift.Layers.Select(l => (JsonNode)new JsonObject
        {
            ["layer"] = l.Name,
            ["tokens_apart"] = l.TokensApart,
            ["alone"] = Number(shift.All.Mean(l.Alone)),
        })]),
        ["say"] = shift.Say(),
    };

    static JsonObject Json(ShiftOfTokens of) => new()
    {
        ["tokens"] = of.Tokens,
        ["mean_size"] = Number(of.Mean(of.Total)),
        ["from_routes"] = Number(of.Mean(of.Routes)),
        ["from_rest"] = Number(of.Mean(of.Rest)),
        ["share_of_routes"] = of.ShareOfRoutes is { } share ? Number(share) : null,
    };

    /// <summary>JSON has no NaN: a text stands for it.</summary>
    static JsonValue Number(double value) =>
        double.IsFinite(value) ? JsonValue.Create(value) : JsonValue.Create(value.ToString(CultureInfo.InvariantCulture));
}
