using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Analysis;
using SparseExperts.Cpu;
using SparseExperts.Describing;
using SparseExperts.Formats;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;

namespace SparseExperts.Cli;

/// <summary><c>moe dialects</c>: what everybody's sparse layer really computes, side by side or one with its citations.</summary>
static class DialectsCommand
{
    static readonly Argument<string?> NameArgument = new("name")
    {
        Description = "A dialect, a part of names (mesh), a JSON file, or a model_type or class of transformers (qwen3_moe). Without it: the comparison table.",
        Arity = ArgumentArity.ZeroOrOne,
    };
    static readonly Option<string?> ConfigOption = new("--config")
    {
        Description = "A Hugging Face config.json, or its folder: the dialect that it means and its parameters.",
        HelpName = "FILE",
    };
    static readonly Option<bool> JsonOption = new("--json")
    {
        Description = "A JSON list of objects, each with name and its axes; of a configuration, one object.",
    };
    static readonly Option<bool> MarkdownOption = new("--markdown") { Description = "The table as Markdown." };

    static readonly Option<bool> PrecisionOption = new("--precision")
    {
        Description =
        "The number format of every stage side by side; with --json as objects."
    };
    static readonly Option<bool> WalkOption = new("--walk")
    {
        Description = "Follow one small call through every stage of the named dialect's layer, with its numbers and the stage's file.",
    };
    static readonly Option<string?> HtmlOption = new("--html")
    {
        Description = "Write all dialects as one page: searched, compared two by two, linked by name.",
        HelpName = "FILE",
    };
    static readonly Option<bool> ForceOption = new("--force") { Description = "Replace the page of --html." };

    static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create()
    {
        var command = new Command("dialects", "What every framework's sparse layer really computes.")
        {
            NameArgument, ConfigOption, JsonOption, MarkdownOption, PrecisionOption, WalkOption, HtmlOption, ForceOption,
        };
        command.SetAction(parsed =>
        {
            var name = parsed.GetValue(NameArgument);
            if (parsed.GetValue(WalkOption))
            {
                if (name is null || command.Options.Any(o => o != WalkOption && parsed.GetResult(o) is { Implicit: false }))
                    throw new DialectException("--walk: name one dialect and give no other option");
                Walk(name);
                return ExitCode.Ok;
            }
            if (parsed.GetValue(JsonOption) && parsed.GetValue(MarkdownOption)) throw new DialectException("--json: not with --markdown; give one of them");
            if (parsed.GetValue(ConfigOption) is { } config)
            {
                if (name is not null || parsed.GetValue(MarkdownOption) || parsed.GetValue(PrecisionOption) || parsed.GetValue(HtmlOption) is not null)
                    throw new DialectException("--config: not with a name, --markdown, --precision or --html; give one of them");
                ConfigText.Print(ConfigFile.Load(Found.As(Wanted.Configuration, config)), parsed.GetValue(JsonOption));
                return ExitCode.Ok;
            }
            if (parsed.GetValue(HtmlOption) is { } page)
            {
                if (name is not null || parsed.GetValue(JsonOption) || parsed.GetValue(MarkdownOption) || parsed.GetValue(PrecisionOption))
                    throw new DialectException("--html: the page holds all dialects; give no name and no other form");
                Page(page, parsed.GetValue(ForceOption));
                return ExitCode.Ok;
            }
            if (parsed.GetValue(ForceOption)) throw new DialectException("--force: only --html FILE replaces a file; give it, or leave --force out");
            var dialects = Chosen(name);
            if (parsed.GetValue(PrecisionOption))
            {
                if (parsed.GetValue(MarkdownOption)) throw new DialectException("--precision: not with --markdown; give one of them");
                if (parsed.GetValue(JsonOption)) Console.WriteLine(FormatTable.Json(dialects).ToJsonString(Readable));
                else FormatTable.Print(dialects);
            }
            else if (parsed.GetValue(JsonOption)) Console.WriteLine(Json(dialects));
            else if (dialects.Count == 1 && name is not null && !parsed.GetValue(MarkdownOption)) One(dialects[0]);
            else Table(dialects, parsed.GetValue(MarkdownOption));
            return ExitCode.Ok;
        });
        return command;
    }

    static void Walk(string name)
    {
        using var backend = new CpuBackend(1);
        Console.WriteLine(Walkthrough.Of(Found.Dialect(name), backend));
    }

    /// <summary>Writes the page whole, or not at all.</summary>
    static void Page(string path, bool force)
    {
        if (path.Length == 0 || Directory.Exists(path)) throw new DialectException($"--html '{path}': is no name of a file; name a page");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))) throw new DialectException($"{path}: its folder does not exist; make it first");
        if (File.Exists(path) && !force) throw new DialectException($"{path}: is there already; choose another name, or --force to replace it");
        AtomicFile.WriteText(path, DialectPage.Html());
        Console.WriteLine(path);
    }

    static string Json(IEnumerable<Dialect> dialects) => new JsonArray([.. dialects.Select(d => (JsonNode)DialectFile.ToJson(d))]).ToJsonString(Readable);

    static IReadOnlyList<Dialect> Chosen(string? name)
    {
        if (name is null) return BuiltIn.All;
        if (BuiltIn.Find(name) is not null || name.EndsWith(".json", StringComparison.OrdinalIgnoreCase)) return [Found.Dialect(name)];
        // The owner of a name of the hub says nothing of its type.
        var bare = Path.Exists(name) ? name : name[(name.LastIndexOf('/') + 1)..];
        if ((ModelTypes.Find(bare) ?? ModelTypes.FindArchitecture(bare)) is { } type)
        {
            Console.Error.WriteLine(ConfigText.Line(name, type));
            return [BuiltIn.Named(type.Dialect)];
        }
        var some = BuiltIn.All.Where(d => d.Name.Contains(name, StringComparison.OrdinalIgnoreCase)).ToArray();
        if (some.Length == 0) return [Found.Dialect(name)];
        if (some.Length == 1) Console.Error.WriteLine($"{name} is no model type that is known to be routed; {some[0].Name} has it in its name");
        return some;
    }

    static void Table(IReadOnlyList<Dialect> dialects, bool markdown)
    {
        string[][] rows = [[.. DialectText.Columns], .. dialects.Select(d => DialectText.Row(d).ToArray())];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length))];
        string Line(string[] row) => markdown
            ? $"| {string.Join(" | ", row)} |"
            : string.Join("  ", row.Select((cell, c) => cell.PadRight(widths[c]))).TrimEnd();
        if (!markdown)
            Console.WriteLine("""
                S tokens a group, E experts, k choices, cf capacity factor (training/evaluation), p softmax, s score, l logit, f share of tokens, P mean score.
                known: recorded = held to recorded calls of the library; read = from its source, not run; paper = from the paper's formula.

                """);
        Console.WriteLine(Line(rows[0]));
        Console.WriteLine(markdown ? $"|{string.Concat(rows[0].Select(_ => "---|"))}" : string.Join("  ", widths.Select(w => new string('─', w))));
        var family = "";
        foreach (var row in rows.Skip(1))
        {
            var next = row[0].Split('.')[0];
            if (!markdown && family.Length > 0 && next != family) Console.WriteLine();
            family = next;
            Console.WriteLine(Line(row));
        }
        if (!markdown) Console.WriteLine($"\n{dialects.Count} dialects; moe dialects NAME shows one with its citations.");
    }

    static void One(Dialect dialect)
    {
        Console.WriteLine($"{dialect.Name}: {dialect.Summary}");
        Console.WriteLine($"source: {dialect.Source} ({Meaning(dialect.Evidence)})");
        if (BuiltIn.Find(dialect.Name) == dialect) Rule(dialect);
        Console.WriteLine($"parameters: {string.Join(", ", dialect.Parameters)}\n");
        foreach (var axis in DialectAxis.All.Where(a => !a.IsDefault(dialect) || Always.Contains(a.Name)))
        {
            if (axis.Format(dialect) is not { } value) continue;
            var named = axis.Values.FirstOrDefault(v => v.Name == value);
            var (text, source) = named.Name is null
                ? (axis.Text, axis.Source)
                : ($"{axis.Text}: {named.Text}", named.Source.Length > 0 ? named.Source : axis.Source);
            Console.WriteLine($"  {axis.Name + " = " + value,-44} {text}{(source.Length > 0 ? $"  [{source}]" : "")}");
        }
        if (dialect.Causality == Causality.LooksAhead) Console.WriteLine("\nlater tokens of a group can change what earlier ones get: not for causal models");
        if (!DialectText.HasWorkedExample(dialect) || dialect.K > 4) return;
        Console.WriteLine("\nworked example, training, expert:slot for every choice (× dropped, – none made), "
            + "at most two slots an expert where there is a capacity; logits");
        for (var t = 0; t < DialectText.ExampleLogits.Length / 4; t++)
        {
            var logits = DialectText.ExampleLogits[(t * 4)..(t * 4 + 4)].Select(l => l.ToString("0.0", CultureInfo.InvariantCulture).PadLeft(4));
            Console.WriteLine($"  token {t}: {string.Join("  ", logits)}");
        }
        Console.Write(DialectText.WorkedExample(dialect).Describe());
    }

    /// <summary>Whose rule it is and what differs, or who shares it.</summary>
    static void Rule(Dialect dialect)
    {
        var its = DialectClass.Of(dialect.Name);
        if (its.Rule == dialect)
        {
            if (its.Members.Count == 1) return;
            var others = its.Members.Skip(1).Select(m => m.Name).ToArray();
            var more = others.Length > 8 ? $", and {others.Length - 8} more" : "";
            Console.WriteLine($"rule: its own; {its.Shared} ({string.Join(", ", others.Take(8))}{more})");
            return;
        }
        Console.WriteLine($"rule: that of {its.Rule.Name}; {its.Shared}");
        var differences = its.Differences(dialect).Select(a => $"{a.Name} = {a.Format(dialect) ?? "none"} ({a.Format(its.Rule) ?? "none"} there)").ToArray();
        Console.WriteLine($"differs: {(differences.Length == 0 ? "in nothing" : string.Join(", ", differences))}");
    }

    static readonly string[] Always =
        ["router", "score", "selection", "k", "ties", "padding", "capacity_formula", "gate", "normalize", "balance", "z_loss", "layer_reduction"];

    static string Meaning(Evidence evidence) =>
        typeof(Evidence).GetField(evidence.ToString())!.GetCustomAttributes(false).OfType<MeansAttribute>().First().Text;
}
