using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Checking;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe check-model</c>: finds the block of a whole model where a library's recording departs from the checkpoint's computation.</summary>
static class CheckModelCommand
{
    static readonly Argument<string> FolderArgument = new("folder") { Description = "Folder of a checkpoint of the hub: config.json and safetensors." };
    static readonly Option<string?> ActivationsOption = new("--activations") { Description = "What one forward pass computed, block by block." };
    static readonly Option<string?> GradientsOption = new("--gradients") { Description = "What one backward pass computed, tensor by tensor." };
    static readonly Option<string?> TrainingOption = new("--training") { Description = "Recorded steps of AdamW." };
    static readonly Option<string?> GenerationOption = new("--generation") { Description = "Recorded greedy decoding." };
    static readonly Option<bool> JsonOption = new("--json") { Description = "One JSON object." };

    static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create()
    {
        var command = new Command("check-model", "Check a recording of a whole model block by block and find the first that departs.")
        {
            FolderArgument, ActivationsOption, GradientsOption, TrainingOption, GenerationOption, JsonOption,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var folder = Found.As(Wanted.Checkpoint, parsed.GetValue(FolderArgument)!);
        string? File(Option<string?> option) => parsed.GetValue(option) is { } file ? Found.As(Wanted.Recording, file) : null;
        var isEmpty = File(ActivationsOption) is null & File(GradientsOption) is null & File(TrainingOption) is null & File(GenerationOption) is null;
        using var hub = HubFolder.Load(folder);
        if (isEmpty)
            throw new ConfigurationException($"{folder}: nothing to check; {Recordings(folder)}");
        var verdict = ModelVerdict.Join(Parts());
        if (verdict.Blocks.All(b => b.Outcome == Outcome.NotClaimed))
            throw new InvalidFileException($"{folder}: the recording holds nothing that this model computes; record it with python/moe_record_model.py");
        if (parsed.GetValue(JsonOption)) Console.WriteLine(Json(folder, verdict).ToJsonString(Line));
        else Print(folder, verdict);
        return verdict.Outcome == Outcome.Differs ? ExitCode.Differs : ExitCode.Ok;

        IEnumerable<ModelVerdict> Parts()
        {
            if (File(ActivationsOption) is { } activations) yield return CheckedModels.Activations(hub, Recording.Load(activations), Backends);
            if (File(GradientsOption) is { } gradients) yield return GradientCheck.Run(hub, gradients, File(ActivationsOption), Backends);
            if (File(TrainingOption) is { } training) yield return TrainingCheck.Run(hub, Recording.Load(training), Backends);
            if (File(GenerationOption) is { } generation) yield return CheckedModels.Generation(hub, Recording.Load(generation), Backends);
        }
    }

    static readonly CheckBackends Backends = new(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());

    /// <summary>Which recordings lie beside the checkpoint.</summary>
    static string Recordings(string folder)
    {
        string[] Named(string pattern) => [.. Directory.EnumerateFiles(folder, pattern).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];
        (string Option, string[] Files)[] found =
        [
            ("--activations", Named("io*.safetensors")), ("--gradients", Named("grads*.safetensors")),
            ("--training", Named("train*.safetensors")), ("--generation", Named("generation*.safetensors")),
        ];
        var lies = string.Join(", ", found.SelectMany(f => f.Files.Select(file => $"{f.Option} {Path.Combine(folder, file)}")));
        return lies.Length == 0 ? "give --activations, --gradients, --training or --generation with a file" : $"there lie {lies}";
    }

    static void Print(string folder, ModelVerdict verdict)
    {
        Console.WriteLine($"{verdict.Outcome.Word(),-9} {folder}");
        foreach (var line in verdict.HeldTo) Console.WriteLine($"  {line}");
        foreach (var block in verdict.Blocks.Where(b => b.Outcome != Outcome.NotClaimed))
            Console.WriteLine($"  {block.Outcome.Word(),-9} {block.Name}{Describe(block)}");
        Note("recorded, and nothing of this model was compared with", verdict.NotCompared);
        Note("not recorded, and so not compared", verdict.NotRecorded);
        if (verdict.First is not { } first) return;
        Console.WriteLine(first.Name);
        Console.WriteLine(verdict.Cause is { } cause ? $"  as if {cause}" : "  no usual fault that was tried computes what was recorded");
    }

    static void Note(string what, IReadOnlyList<string> names)
    {
        const int shown = 3;
        if (names.Count == 0) return;
        Console.WriteLine($"  note: {what}: {string.Join(", ", names.Take(shown))}{(names.Count > shown ? $" and {names.Count - shown} more" : "")}");
    }

    static string Describe(BlockVerdict block)
    {
        if (block.Worst is not { Worst: { } worst } claim) return "";
        string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        if (block.Outcome == Outcome.Agrees) return Invariant($"  worst {worst.Margin:G3} of {worst.Bound:G3}");
        var numbers = Invariant($"{worst.Claimed:G7} instead of {worst.Expected:G7}, off by {worst.Margin:G3}, rounding explains {worst.Bound:G3}");
        return Invariant($"  {claim.Name}[{worst.Index}]: {numbers}; {worst.Count} of {worst.Of}");
    }

    static JsonObject Json(string folder, ModelVerdict verdict)
    {
        static JsonArray Names(IEnumerable<string> names) => new([.. names.Select(n => (JsonNode)JsonValue.Create(n)!)]);
        static JsonNode? Number(double? value) => value is { } number && double.IsFinite(number) ? JsonValue.Create(number) : null;
        return new()
        {
            ["folder"] = folder,
            ["verdict"] = verdict.Outcome.Word(),
            ["first"] = verdict.First?.Name,
            ["cause"] = verdict.Cause,
            ["held_to"] = verdict.HeldTo.Count > 0 ? string.Join("; ", verdict.HeldTo) : null,
            ["not_compared"] = Names(verdict.NotCompared),
            ["not_recorded"] = Names(verdict.NotRecorded),
            ["blocks"] = new JsonArray([.. verdict.Blocks.Select(b => (JsonNode)new JsonObject
            {
                ["name"] = b.Name,
                ["verdict"] = b.Outcome.Word(),
                ["worst"] = Number(b.Worst?.Worst?.Margin),
                ["bound"] = Number(b.Worst?.Worst?.Bound),
            })]),
        };
    }
}
