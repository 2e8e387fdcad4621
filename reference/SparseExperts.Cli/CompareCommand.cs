using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe compare</c>: how two engines route the same tokens.</summary>
static class CompareCommand
{
    static readonly Argument<string> FirstArgument = new("a") { Description = "A case file of one engine, or a folder of them: one file a call." };
    static readonly Argument<string> SecondArgument = new("b") { Description = "The other engine's file, or its folder with files of the same names." };
    static readonly Option<bool> JsonOption = new("--json") { Description = "One JSON object a line and layer." };
    static readonly Option<bool> StrictOption = new("--strict")
    {
        Description = "Every mismatch counts as a difference, also those that rounding or other inputs explain.",
    };
    static readonly Option<bool> RowsOption = new("--rows")
    {
        Description = "Calls that share tokens, among others or in another order: is every shared row equal, bit for bit, and if not, from which stage on? "
            + "Rows are paired by x.row [G, S] where both files have it, else by equal bits of x.",
    };
    static readonly Option<bool> AllowRoundingOption = new("--allow-rounding")
    {
        Description = "With --rows: rows that depart by no more than rounding explains are no difference.",
    };
    static readonly FormatOption Format = new();
    static readonly Option<string?> ModelOption = new("--model")
    {
        Description = "Folder of a checkpoint: the files are recordings of whole models (python/moe_record_model.py), and replay says how much of the "
            + "difference in log-probabilities comes from routes.",
    };

    public static Command Create()
    {
        var command = new Command("compare", "Compare the routing decisions of two engines on the same tokens.")
        {
            FirstArgument, SecondArgument, JsonOption, StrictOption, RowsOption, AllowRoundingOption, Format.Option, ModelOption,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        RefuseUnread(parsed);
        var format = Format.Read(parsed);
        var pairs = Pairs(parsed.GetValue(FirstArgument)!, parsed.GetValue(SecondArgument)!);
        var json = parsed.GetValue(JsonOption);
        if (parsed.GetValue(ModelOption) is { } model) return CompareModels.Run(model, pairs, json, parsed.GetValue(StrictOption));
        if (parsed.GetValue(RowsOption))
        {
            RowComparison ByRow(string name, Case a, Case b) => RowComparison.Of(name, a, b, () => new ScalarBackend<Tracked>(), format);
            var (compared, code) = Each(pairs, json, ByRow);
            RowComparison[] ofLayers = [.. compared.GroupBy(r => Path.GetFileName(r.Layer)).Select(g => RowComparison.Sum(g.Key, [.. g]))];
            return Failure.Worst([code, CompareRows.Print(ofLayers, json, parsed.GetValue(AllowRoundingOption))]);
        }
        RouteComparison OfRoutes(string name, Case a, Case b)
        {
            using var backend = new ScalarBackend<Tracked>();
            return RouteComparison.Of(name, a, b, backend);
        }
        var (results, worst) = Each(pairs, json, OfRoutes);
        if (results.Length == 0) return worst;
        // step3/layer07 and step4/layer07 are one row, in the order of their names.
        RouteComparison[] layers = [.. results.GroupBy(r => Path.GetFileName(r.Layer)).Select(g => RouteComparison.Sum(g.Key, [.. g]))];
        if (json)
            foreach (var layer in layers) Console.WriteLine(Json(layer).ToJsonString());
        else Print(layers);
        var sum = RouteComparison.Sum("all", layers);
        var differs = sum.HasNaN || sum.Causes[MismatchCause.Unexplained] + sum.Causes[MismatchCause.Rule] > 0
            || parsed.GetValue(StrictOption) && sum.TokensApart > 0;
        return Failure.Worst([worst, differs ? ExitCode.Differs : ExitCode.Ok]);
    }

    /// <summary>An option that would change nothing is refused.</summary>
    static void RefuseUnread(ParseResult parsed)
    {
        var rows = parsed.GetValue(RowsOption);
        if (rows && parsed.GetValue(ModelOption) is not null) throw new CaseException("--rows is of calls of one layer, --model of whole models; give one");
        if (!rows && parsed.GetValue(AllowRoundingOption)) throw new CaseException("--allow-rounding goes with --rows; give both");
        if (!rows && parsed.GetValue(Format.Option) is not null) throw new CaseException("--format goes with --rows; give both");
        if (rows && parsed.GetValue(StrictOption)) throw new CaseException("--strict: with --rows every difference counts already; leave it out");
    }

    /// <summary>What is found of each pair, in order, and the worst exit code of those that cannot be compared, which are printed.</summary>
    static (T[] Results, int Code) Each<T>(
        IReadOnlyList<(string Name, string First, string Second)> pairs,
        bool json,
        Func<string, Case, Case, T> compare)
        where T : class
    {
        var all = new (T? Result, Failure? Failure)[pairs.Count];
        Parallelism.For(pairs.Count, i =>
        {
            try
            {
                all[i] = (compare(pairs[i].Name, Found.Case(pairs[i].First), Found.Case(pairs[i].Second)), null);
            }
            catch (Exception e)
            {
                all[i] = (null, Failure.Of(e).In(pairs[i].First));      // the other pairs are compared
            }
        });
        foreach (var (pair, (_, failure)) in pairs.Zip(all))
            if (json && failure is not null) Console.WriteLine(failure.ToJson(pair.First).ToJsonString());
            else failure?.Print();
        return ([.. all.Select(a => a.Result).OfType<T>()], Failure.Worst(all.Select(a => a.Failure?.Code ?? ExitCode.Ok)));
    }

    static IReadOnlyList<(string Name, string First, string Second)> Pairs(string a, string b)
    {
        if (Directory.Exists(a) != Directory.Exists(b))
            throw new CaseException($"{a} and {b}: one is a folder, the other is not; name two files or two folders");
        if (!Directory.Exists(a)) return [(Path.GetFileNameWithoutExtension(a), a, b)];
        Dictionary<string, string> first = Named(a), second = Named(b);
        if (first.Keys.Except(second.Keys).FirstOrDefault() is { } missing) throw Alone(missing, has: a, lacks: b);
        if (second.Keys.Except(first.Keys).FirstOrDefault() is { } extra) throw Alone(extra, has: b, lacks: a);
        return [.. first.Keys.Order(StringComparer.Ordinal).Select(name => (name, first[name], second[name]))];
    }

    /// <summary>The case files of a folder by their names without the extension.</summary>
    static Dictionary<string, string> Named(string folder)
    {
        var named = Found.Cases([folder]).GroupBy(f => Path.ChangeExtension(Path.GetRelativePath(folder, f), null)).ToArray();
        if (named.FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new CaseException($"{folder}: '{twice.Key}' is there twice, as .npz and as .safetensors; keep one");
        return named.ToDictionary(g => g.Key, g => g.Single());
    }

    static CaseException Alone(string file, string has, string lacks) => new($"{lacks}: no file '{file}', which {has} has; compare the same calls");
    static void Print(RouteComparison[] layers)
    {
        string[] head =
        [
            "layer", "tokens", "apart", "rounding", "inputs", "rule", "unexplained", "unknown",
            "overlap", "gates differ", "y differs", "y, same experts", "y, apart",
        ];
        string[][] rows = [head, .. layers.Select(Row)];
        if (layers.Length > 1) rows = [.. rows, Row(RouteComparison.Sum("all", layers))];
        int[] widths = [.. head.Select((_, c) => rows.Max(r => r[c].Length))];
        string Padded(string cell, int column) => column == 0 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]);
        foreach (var row in rows) Console.WriteLine(string.Join("  ", row.Select(Padded)).TrimEnd());
        var all = RouteComparison.Sum("all", layers);
        Console.WriteLine($"\n{all.Say()}");
        foreach (var layer in layers)
        {
            if (layer.FirstUnexplained is not var (call, token, engine)) continue;
            var letter = engine == 1 ? "A" : "B";
            Console.WriteLine($"  {call}: engine {letter} does not follow its own logits, first at token {token}; moe check its file");
        }
    }

    static string[] Row(RouteComparison r) =>
    [
        r.Layer,
        Text(r.Tokens),
        Text(r.TokensApart),
        Text(r.Causes[MismatchCause.Rounding]),
        Text(r.Causes[MismatchCause.Inputs]),
        Text(r.Causes[MismatchCause.Rule]),
        Text(r.Causes[MismatchCause.Unexplained]),
        Text(r.Causes[MismatchCause.Unknown]),
        r.Overlap.ToString("P2", CultureInfo.InvariantCulture),
        Size(r.GateLargest),
        Size(r.Output),
        Size(r.OutputTogether),
        Size(r.OutputApart),
    ];

    static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    static string Size(double? value) => value?.ToString("G3", CultureInfo.InvariantCulture) ?? "–";

    static JsonObject Json(RouteComparison r) => new()
    {
        ["layer"] = r.Layer,
        ["tokens"] = r.Tokens,
        ["choices"] = r.Choices,
        ["tokens_apart"] = r.TokensApart,
        ["choices_apart"] = r.ChoicesApart,
        ["reordered"] = r.Reordered,
        ["by_rounding"] = r.Causes[MismatchCause.Rounding],
        ["by_inputs"] = r.Causes[MismatchCause.Inputs],
        ["by_rule"] = r.Causes[MismatchCause.Rule],
        ["unexplained"] = r.Causes[MismatchCause.Unexplained],
        ["unknown"] = r.Causes[MismatchCause.Unknown],
        ["overlap"] = r.Overlap,
        ["gate_largest"] = Number(r.GateLargest),
        ["gate_mean"] = Number(r.GateMean),
        ["output"] = Number(r.Output),
        ["output_together"] = Number(r.OutputTogether),
        ["output_apart"] = Number(r.OutputApart),
        ["first_unexplained"] = Place(r.FirstUnexplained),
        ["say"] = r.Say(),
    };

    static JsonObject? Place((string Call, int Token, int Engine)? place) => place is not var (call, token, engine) ? null : new()
    {
        ["call"] = call,
        ["token"] = token,
        ["engine"] = engine == 1 ? "a" : "b",
    };

    /// <summary>JSON has no NaN: a text stands for it, null for what is not claimed.</summary>
    static JsonNode? Number(double? value)
    {
        if (value is not { } number) return null;
        return double.IsFinite(number) ? JsonValue.Create(number) : JsonValue.Create(number.ToString(CultureInfo.InvariantCulture));
    }
}
