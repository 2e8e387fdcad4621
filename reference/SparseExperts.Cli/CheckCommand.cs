using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Xml;
using System.Xml.Linq;
using SparseExperts.Formats;
using SparseExperts.Oracle;

namespace SparseExperts.Cli;

/// <summary><c>moe check</c>: finds where an implementation departs from its specification.</summary>
static class CheckCommand
{
    static readonly Argument<string[]> FilesArgument = new("files")
    {
        Description = "Case files (.safetensors, .npz), folders, or patterns with * and ?.",
        Arity = ArgumentArity.OneOrMore,
    };
    static readonly CheckOptions HeldTo = new();
    static readonly Option<string?> JunitOption = new("--junit") { Description = "Also write a JUnit report to this file." };
    static readonly Option<bool> JsonOption = new("--json") { Description = "One JSON object a line and file." };
    static readonly Option<bool> StrictOption = new("--strict") { Description = "What the dialect leaves open counts as a difference." };

    static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    sealed record Result(string File, string Dialect, Verdict? Verdict, Failure? Failure)
    {
        public string? Error => Failure is null ? null : CommandRunner.OneLine(Failure.Line);
        public int Code(bool strict) => Failure?.Code ?? (Differs(strict) ? ExitCode.Differs : ExitCode.Ok);
        public bool Differs(bool strict) => Verdict is { } v && (v.Outcome == Outcome.Differs || strict && v.Outcome == Outcome.Undecided);
    }

    public static Command Create()
    {
        var command = new Command("check", "Recompute every claim of case files and find the first that departs.")
        {
            FilesArgument, JunitOption, JsonOption, StrictOption,
        };
        HeldTo.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var read = HeldTo.Reader(parsed);
        var format = HeldTo.Format.Read(parsed);
        var report = parsed.GetValue(JunitOption) is { } place ? Place(place) : null;
        var files = Found.Cases(parsed.GetValue(FilesArgument)!);
        var (json, strict) = (parsed.GetValue(JsonOption), parsed.GetValue(StrictOption));

        // Checked in parallel, printed in order.
        var results = new Result[files.Count];
        Parallelism.For(files.Count, i => results[i] = One(files[i], read, format));
        foreach (var result in results)
        {
            if (!json) Print(result);
            else Console.WriteLine((result.Failure?.ToJson(result.File) ?? Json(result)).ToJsonString(Line));
        }
        if (!json && results.Length > 1) PrintCounts(results);
        if (report is not null) AtomicFile.WriteText(report, Junit(results, strict));
        return Failure.Worst(results.Select(r => r.Code(strict)));
    }

    /// <summary>Where a report can be written, which is known before anything is checked.</summary>
    static string Place(string path)
    {
        if (Directory.Exists(path)) throw new CaseException($"--junit {path}: is a folder; name a file");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
            throw new CaseException($"--junit {path}: its folder does not exist; make it first");
        return AtomicFile.Place(path);
    }

    static void PrintCounts(Result[] results)
    {
        int Count(Outcome outcome) => results.Count(r => r.Verdict?.Outcome == outcome);
        var unread = results.Count(r => r.Error is not null);
        Console.WriteLine();
        Console.WriteLine(
            $"{Count(Outcome.Agrees)} agree, {Count(Outcome.Undecided)} undecided, {Count(Outcome.Differs)} differ, {unread} cannot be read");
    }

    static Result One(string file, Func<string, Case> read, FormatChoice format)
    {
        try
        {
            var @case = read(file);
            return new(file, @case.Dialect.Name, CheckOptions.Judge(@case, format).Verdict, null);
        }
        catch (Exception e)
        {
            return new(file, "", null, Failure.Of(e).In(file));     // the other files have their verdicts
        }
    }

    static void Print(Result result)
    {
        if (result.Failure is { } failure)
        {
            failure.Print();
            return;
        }
        var verdict = result.Verdict!;
        Console.WriteLine($"{verdict.Outcome.Word(),-9} {result.File}  [{result.Dialect}]");
        if (verdict.Held is { } held) Console.WriteLine($"  {FormatOption.Says(held)}");
        foreach (var (name, digits) in verdict.Printed) Console.WriteLine($"  {name}: printed with {digits} digits; half a unit of the last is allowed");
        if (verdict.Outcome == Outcome.Agrees)
        {
            foreach (var stage in verdict.FormatDepartures) Console.WriteLine($"  {stage}");
            foreach (var note in verdict.Notes) Console.WriteLine($"  note: {note}");
            return;
        }
        foreach (var stage in verdict.Stages) Console.WriteLine($"  {stage.Outcome.Word(),-9} {stage.Stage}{Describe(stage)}");
        Console.WriteLine($"  {verdict.Say}");
        foreach (var note in verdict.Notes) Console.WriteLine($"  note: {note}");
    }

    /// <summary>Where a stage departs first and by how much; nothing for one that agrees.</summary>
    static string Describe(StageVerdict stage)
    {
        if (stage.First is not { } first || stage.Outcome == Outcome.Agrees) return "";
        string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        var numbers = Invariant($"{first.Claimed:G7} instead of {first.Expected:G7}");
        var margin = double.IsNaN(first.Margin) ? "" : Invariant($", off by {first.Margin:G3}, rounding explains {first.Bound:G3}");
        return Invariant($"  {first.Place}: {numbers}{margin}; {first.Count} of {first.Of}");
    }

    static JsonObject Json(Result result)
    {
        var verdict = result.Verdict!;
        var stages = new JsonObject();
        foreach (var stage in verdict.Stages) stages[stage.Stage] = stage.Outcome.Word();
        foreach (var stage in CaseFiles.Stages)
            if (!stages.ContainsKey(stage)) stages[stage] = Outcome.NotClaimed.Word();
        var first = verdict.Culprit?.First;
        return new()
        {
            ["file"] = result.File,
            ["dialect"] = result.Dialect,
            ["verdict"] = verdict.Outcome.Word(),
            ["stage"] = verdict.Culprit?.Stage,
            ["stages"] = stages,
            ["first"] = first is null ? null : new JsonObject
            {
                ["group"] = first.Group,
                ["token"] = first.Token,
                ["choice"] = first.Choice,
                ["expert"] = first.Expert,
                ["slot"] = first.Slot,
                ["claimed"] = Number(first.Claimed),
                ["expected"] = Number(first.Expected),
                ["margin"] = Number(first.Margin),
                ["bound"] = Number(first.Bound),
                ["count"] = first.Count,
                ["of"] = first.Of,
            },
            ["held_to"] = verdict.Held is not { } held ? null : new JsonObject
            {
                ["format"] = held.Name,
                ["tensors"] = new JsonArray([.. held.Tensors.Select(t => (JsonNode)JsonValue.Create(t)!)]),
            },
            ["digits"] = verdict.Printed.Count == 0 ? null : new JsonObject(verdict.Printed.Select(p => KeyValuePair.Create(p.Name, (JsonNode?)p.Digits))),
            ["precision"] = verdict.FormatDepartures.Count == 0 ? null : FormatTable.Json(verdict.FormatDepartures),
            ["cause"] = verdict.Causes.Count == 0 ? null : CauseOf(verdict.Causes[0], verdict.IsCertain),
            ["alternatives"] = new JsonArray([.. verdict.Causes.Skip(1).Select(c => (JsonNode)CauseOf(c, null))]),
            ["notes"] = new JsonArray([.. verdict.Notes.Select(n => (JsonNode)JsonValue.Create(n)!)]),
            ["say"] = verdict.Say,
        };
    }

    static JsonObject CauseOf(Cause cause, bool? certain)
    {
        var json = new JsonObject { ["axis"] = cause.What, ["value"] = cause.Value };
        if (certain is { } known) json["certain"] = known;
        return json;
    }

    /// <summary>JSON has no infinities and no NaN.</summary>
    static JsonNode? Number(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    static string Junit(Result[] results, bool strict)
    {
        var suite = new XElement("testsuite", new XAttribute("name", "moe check"), new XAttribute("tests", results.Length),
            new XAttribute("failures", results.Count(r => r.Differs(strict))), new XAttribute("errors", results.Count(r => r.Error is not null)));
        // Names come from files: what XML cannot hold is written out.
        XAttribute Attribute(string name, string value) =>
            new(name, string.Concat(VisibleWriter.Visible(value).Select(c => XmlConvert.IsXmlChar(c) ? $"{c}" : $"\\u{(int)c:x4}")));
        foreach (var result in results)
        {
            var test = new XElement("testcase", Attribute("classname", result.Dialect.Length > 0 ? result.Dialect : "case"), Attribute("name", result.File));
            if (result.Error is { } error) test.Add(new XElement("error", Attribute("message", error)));
            else if (result.Differs(strict)) test.Add(new XElement("failure", Attribute("message", result.Verdict!.Say)));
            suite.Add(test);
        }
        return new XDocument(new XDeclaration("1.0", "utf-8", null), new XElement("testsuites", suite)) + "\n";
    }
}
