using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe identify</c>: says which specification an implementation follows.</summary>
static class IdentifyCommand
{
    static readonly Argument<string[]> FilesArgument = new("files")
    {
        Description = "Case files of one implementation, folders, or patterns with * and ?.",
        Arity = ArgumentArity.OneOrMore
    };
    static readonly Option<bool> JsonOption = new("--json") { Description = "One JSON object." };

    static readonly FormatOption Format = new();

    static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create()
    {
        var command = new Command("identify", "Find the dialect that reproduces the claims of all the files.") { FilesArgument, JsonOption, Format.Option };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var format = Format.Read(parsed);
        var held = new List<(Case Case, HeldFormat? Held)>();
        var failures = new List<(string File, Failure Failure)>();
        foreach (var file in Found.Cases(parsed.GetValue(FilesArgument)!))
            try
            {
                var read = Found.Case(file);
                read.RequireClaims();
                held.Add(FormatCheck.Settle(read, format, () => new ScalarBackend<Tracked>()));
            }
            catch (Exception e)
            {
                failures.Add((file, Failure.Of(e).In(file)));       // the others are identified without it
            }
        foreach (var (file, failure) in failures)
            if (parsed.GetValue(JsonOption)) Console.WriteLine(failure.ToJson(file).ToJsonString(OneLine));
            else failure.Print();
        var worst = Failure.Worst(failures.Select(f => f.Failure.Code));
        if (held.Count == 0) return worst;
        var identity = Identification.Run([.. held.Select(h => h.Case)], () => new ScalarBackend<Tracked>());
        if (parsed.GetValue(JsonOption)) Console.WriteLine(Json(identity, held).ToJsonString(Indented));
        else Print(identity, held);
        return Failure.Worst([worst, identity.Left == 0 ? ExitCode.Ok : ExitCode.Differs]);
    }

    static void Print(Identity identity, IReadOnlyList<(Case Case, HeldFormat? Held)> files)
    {
        foreach (var (file, held) in files)
            if (held is not null) Console.WriteLine($"{Path.GetFileName(file.Path)}: {FormatOption.Says(held)}");
        var plural = files.Count == 1 ? "the file" : $"all {files.Count} files";
        var its = ClassOf(identity);
        var rule = its is null || its.Shared.Length == 0 ? "" : its.Rule.Name == identity.Nearest ? $" ({its.Shared})"
            : $" (the rule of {its.Rule.Name}; {its.Shared})";
        var changes = identity.Changes.Count == 0 ? "" : $", but {string.Join(", and ", identity.Changes.Select(c => c.Change))}";
        Console.WriteLine(identity.Nearest + rule + changes);
        Console.WriteLine(identity.Left == 0 ? $"reproduces {plural}"
            : $"is the nearest; {identity.Left} claims of {plural} still differ (moe check names them)");
        if (identity.Untried > 0) Console.WriteLine($"{identity.Untried} candidates were not tried: the files are large");
        foreach (var change in identity.Changes) Console.WriteLine($"  {change.Change.Axis}: {change.Evidence}");
        foreach (var other in identity.Alternatives) Console.WriteLine($"  or as well: {other}");
        foreach (var stage in identity.FormatDepartures) Console.WriteLine($"  {stage}");
        if (Others(identity, its) is { Length: > 0 } others) Console.WriteLine($"also reproduced, unchanged, by {string.Join(", ", others)}");
        foreach (var open in identity.Open.GroupBy(o => (o.Suggest, o.IsThere)))
        {
            var would = open.Key.IsThere ? $"{plural} {(files.Count == 1 ? "is" : "include")} {open.Key.Suggest}, and no claim there tells other values apart"
                : $"{open.Key.Suggest} would decide";
            Console.WriteLine($"not decided: {string.Join(", ", open.Select(o => o.Axis))}; {would}");
        }
        if (identity.Open.Any(o => !o.IsThere) && BuiltIn.Find(identity.Nearest) is not null)
            Console.WriteLine($"moe probe {identity.Nearest} --out DIR writes such inputs");
    }

    /// <summary>The dialects that share the nearest one's rule, where it is built in.</summary>
    static DialectClass? ClassOf(Identity identity) => BuiltIn.Find(identity.Nearest) is null ? null : DialectClass.Of(identity.Nearest);

    /// <summary>Other rules that reproduce all files, each once.</summary>
    static string[] Others(Identity identity, DialectClass? own) => [.. identity.Same.Select(DialectClass.Of).Distinct().Where(c => c != own).Select(c =>
    {
        var names = identity.Same.Where(n => DialectClass.Of(n) == c).ToArray();
        return names.Length == 1 ? names[0] : $"the rule of {c.Rule.Name} ({names.Length} of its {c.Members.Count} dialects)";
    })];

    static JsonObject Json(Identity identity, IEnumerable<(Case Case, HeldFormat? Held)> files) => new()
    {
        ["nearest"] = identity.Nearest,
        ["rule"] = ClassOf(identity)?.Rule.Name,
        ["model_types"] = Texts(ClassOf(identity)?.ModelTypes ?? []),
        ["changes"] = new JsonArray([.. identity.Changes.Select(c => (JsonNode)new JsonObject { ["axis"] = c.Change.Axis, ["is"] = c.Change.Is,
            ["instead_of"] = c.Change.InsteadOf, ["evidence"] = c.Evidence })]),
        ["alternatives"] = Texts(identity.Alternatives),
        ["same"] = Texts(identity.Same),
        ["precision"] = FormatTable.Json(identity.FormatDepartures),
        ["undecided"] = new JsonArray([.. identity.Open.Select(o => (JsonNode)new JsonObject { ["axis"] = o.Axis, ["is"] = o.Is, ["also"] = Texts(o.Also),
            ["suggest"] = o.Suggest, ["have_such"] = o.IsThere })]),
        ["left"] = identity.Left,
        ["untried"] = identity.Untried,
        ["held_to"] = new JsonArray([.. files.Where(f => f.Held is not null).Select(f => (JsonNode)new JsonObject
        {
            ["file"] = f.Case.Path,
            ["format"] = f.Held!.Name,
            ["tensors"] = Texts(f.Held.Tensors),
        })]),
    };

    static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(t => (JsonNode)JsonValue.Create(t)!)]);
}
