using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SparseExperts.Profiling;
using SparseExperts.Runs;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary><c>moe evaluate</c>: bits per byte of a trained model.</summary>
static class EvaluateCommand
{
    public static Command Create()
    {
        var run = CommonOptions.Run();
        var text = new Option<string?>("--text") { Description = "Evaluate this text, in windows that follow each other, instead of the run's held-out part." };
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var (threads, backend, precision, plugins) = (CommonOptions.Threads(), CommonOptions.Backend(), CommonOptions.Precision(), CommonOptions.Plugins());
        var profile = CommonOptions.Profile();
        var command = new Command("evaluate", "Measure a trained model on its held-out text, or on another text.")
        {
            run, text, threads, backend, precision, plugins, profile, json,
        };
        command.SetAction(parsed =>
        {
            var plain = BackendCatalog.Create(parsed.GetValue(backend)!, parsed.GetValue(threads), parsed.GetValue(plugins), parsed.GetValue(precision));
            var counter = parsed.GetValue(profile) ? new CountingBackend(plain, waits: true) : null;
            using var machine = counter ?? plain;
            using var opened = TrainingRun.Open(Found.As(Wanted.Run, parsed.GetValue(run)!), _ => machine);
            if (opened.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
            var other = parsed.GetValue(text) is { } path ? RunData.LoadText(opened.Config.Data, path, opened.Config.Model) : null;
            var leftOut = 0L;
            var batches = other is null ? opened.Data.HeldOut(Evaluation.Batch, int.MaxValue) : opened.Data.Of(other, Evaluation.Batch, out leftOut);
            var (result, profiled) = counter is null ? (Evaluation.Run(opened.Predictor, batches), null) : EvaluationProfiler.Run(counter, opened, batches);
            var exact = opened.Data.Exact(opened.Predictor, batches);
            var step = opened.Predictor.Step;
            var parts = other is null ? opened.Data.Parts : [];
            var each = parts.Select(p => (p.Name, Result: Evaluation.Run(opened.Predictor, p.Data.HeldOut(Evaluation.Batch, int.MaxValue)))).ToArray();
            var where = other is null ? "held-out text" : Path.GetFileName(other.Path);
            Console.WriteLine(parsed.GetValue(json)
                ? Json(result, other is null ? null : leftOut, exact, each, step)
                : Say(result, opened.Data.Unit, where, step) + LeftOut(leftOut) + Say(exact));
            if (!parsed.GetValue(json))
                foreach (var (name, part) in each) Console.WriteLine(Say(part, opened.Data.Unit, name, step));
            if (profiled is null) return ExitCode.Ok;
            // Standard output is one object with json: the tables go beside it.
            var tables = $"{Environment.NewLine}{ProfileTable.Of(profiled)}{Environment.NewLine}profile: {TrainingRun.ProfilePath(opened.Folder)}";
            (parsed.GetValue(json) ? Console.Error : Console.Out).WriteLine(tables);
            return ExitCode.Ok;
        });
        return command;
    }

    static readonly JsonSerializerOptions Line = new() { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull };

    static string Json(Evaluation result, long? leftOut, ExactMatch? exact, (string Name, Evaluation Result)[] each, long step) => JsonSerializer.Serialize(new
    {
        step,
        bits_per_byte = result.BitsPerByte,
        bytes = result.Bytes,
        left_out_bytes = leftOut,
        tokens = result.Labels,
        drop_rate = result.DropRate,
        exact_match = exact?.Share,
        languages = each.Length == 0 ? null : each.ToDictionary(e => e.Name, e => e.Result.BitsPerByte),
    }, Line);

    /// <summary>What of another text fills no window.</summary>
    static string LeftOut(long bytes) =>
        bytes == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"; {bytes:N0} bytes at its end fill no window and are left out");

    static string Say(ExactMatch? exact) => exact is null ? "" : string.Create(
        CultureInfo.InvariantCulture,
        $"{Environment.NewLine}{exact.Right} of {exact.Total} targets written exactly ({100 * exact.Share:F1} %)");

    static string Say(Evaluation result, string unit, string where, long step) => string.Create(
        CultureInfo.InvariantCulture,
        $"{result.BitsPerByte:F4} bits/{unit} on {result.Bytes:N0} {unit}s{Tokens(result)} of {where} (step {step}, {100 * result.DropRate:F1} % dropped)");

    /// <summary>Said where a tokenizer makes them fewer than bytes.</summary>
    static string Tokens(Evaluation result) =>
        result.Labels == result.Bytes ? "" : string.Create(CultureInfo.InvariantCulture, $" in {result.Labels:N0} tokens");
}
