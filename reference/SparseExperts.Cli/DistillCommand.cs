using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary><c>moe distill</c>: the dense twin of a sparse run, taught by it.</summary>
static class DistillCommand
{
    static readonly Argument<string> RunArgument = CommonOptions.Run();
    static readonly Option<bool> DenseOption = new("--dense") { Description = "Into the dense twin, the one student that there is.", Required = true };
    static readonly Option<double> SoftOption = new("--soft")
    {
        Description = "Share of the loss that the teacher's distribution has; the labels have the rest.",
        DefaultValueFactory = _ => Distillation.UsualShare,
    };
    static readonly Option<long?> StepsOption = new("--steps")
    {
        Description = "Steps of the student and of the twin without a teacher. Default: the teacher's.",
    };
    static readonly Option<string?> BaselineOption = new("--baseline")
    {
        Description = "A dense run to compare with, instead of training one for as many steps.",
    };
    static readonly Option<string?> OutOption = new("--out") { Description = "Folder for the runs. Default: the sparse run's, with -dense." };
    static readonly Option<int> ThreadsOption = CommonOptions.Threads();
    static readonly Option<string> BackendOption = CommonOptions.Backend();
    static readonly Option<string?> PluginsOption = CommonOptions.Plugins();
    static readonly Option<bool> ForceOption = new("--force") { Description = "Replace the runs that the folder holds." };
    static readonly Option<bool> JsonOption = new("--json") { Description = "Print one JSON object." };

    public static Command Create()
    {
        var command = new Command("distill", "Teach the dense twin of a sparse run, and measure how much of the gain it keeps.")
        {
            RunArgument, DenseOption, SoftOption, StepsOption, BaselineOption, OutOption, ThreadsOption, BackendOption, PluginsOption, ForceOption, JsonOption,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var (folder, soft) = (parsed.GetValue(RunArgument)!, parsed.GetValue(SoftOption));
        if (!(soft is >= 0 and <= 1)) throw new ConfigurationException($"--soft {soft}: within 0 and 1");
        if (parsed.GetValue(StepsOption) is < 1) throw new ConfigurationException($"--steps {parsed.GetValue(StepsOption)}: at least 1");
        using var backend = BackendCatalog.Create(parsed.GetValue(BackendOption)!, parsed.GetValue(ThreadsOption), parsed.GetValue(PluginsOption));
        var teacher = TrainingRun.Open(Found.As(Wanted.Run, folder), _ => backend);
        if (teacher.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
        var training = teacher.Config.Training with { Steps = parsed.GetValue(StepsOption) ?? Math.Max(1, teacher.Predictor.Step), Minutes = 0 };
        var place = parsed.GetValue(OutOption) ?? folder.TrimEnd('/', '\\') + "-dense";
        RunConfig student = DenseStudent.Config(folder, teacher.Config, training, soft), alone = DenseStudent.Config(folder, teacher.Config, training, null);

        using var stop = new StopSignals();
        (string Name, TrainedRun Run)? dense = parsed.GetValue(BaselineOption) is { } baseline
            ? ("dense, given", TrainingRun.Open(Found.As(Wanted.Run, baseline), _ => backend))
            : Train(parsed, stop, Path.Combine(place, "alone"), alone, backend, teacher.Data, null) is { } trained ? ("dense, alone", trained) : null;
        if (dense is null) return Stopped(stop, place);
        var taught = Train(parsed, stop, Path.Combine(place, "taught"), student, backend, teacher.Data, trainer => DenseStudent.Begin(folder, trainer));
        if (taught is null) return Stopped(stop, place);

        (string Name, TrainedRun Run)[] all = [("sparse teacher", teacher), dense.Value, ("dense, taught", taught)];
        double[] bits = [.. all.Select(r => Evaluation.Run(r.Run.Predictor, teacher.Data.HeldOut(Evaluation.Batch, int.MaxValue)).BitsPerByte)];
        var kept = DenseStudent.Kept(bits[0], bits[1], bits[2]);
        Console.WriteLine(parsed.GetValue(JsonOption) ? Json(all, bits, kept) : Table(all, bits, kept, teacher.Data.Unit));
        return ExitCode.Ok;
    }

    /// <summary>A run to its end; null where a signal stopped it.</summary>
    static TrainedRun? Train(ParseResult parsed, StopSignals stop, string folder, RunConfig config, IBackend backend, RunData data, Action<Trainer>? start)
    {
        using var run = TrainingRun.Create(folder, config, backend, data, parsed.GetValue(ForceOption), start);
        if (!parsed.GetValue(JsonOption)) Console.Error.WriteLine($"training {config.Training.Steps} steps: {run.Folder}");
        return run.Execute(_ => { }, _ => { }, stop.Token) == RunOutcome.Finished ? run.Trained : null;
    }

    static int Stopped(StopSignals stop, string place)
    {
        Console.Error.WriteLine($"interrupted; its runs so far are in {place}");
        return 128 + stop.Signal;
    }

    static string Table((string Name, TrainedRun Run)[] all, double[] bits, double? kept, string unit)
    {
        List<string> lines = [$"{"",-16}{"parameters",14}{"steps",8}{"bits/" + unit,13}{"of the gain",13}"];
        for (var i = 0; i < all.Length; i++)
        {
            var share = i == 0 ? "100 %" : i == 1 ? "0 %" : kept is { } k ? string.Create(CultureInfo.InvariantCulture, $"{100 * k:F0} %") : "no gain";
            var (name, run) = all[i];
            lines.Add(string.Create(CultureInfo.InvariantCulture,
                $"{name,-16}{run.Predictor.Model.ParameterCount,14:N0}{run.Predictor.Step,8}{bits[i],13:F4}{share,13}"));
        }
        return string.Join(Environment.NewLine, lines);
    }

    static string Json((string Name, TrainedRun Run)[] all, double[] bits, double? kept) => JsonSerializer.Serialize(new
    {
        runs = all.Select((r, i) => new { name = r.Name, folder = r.Run.Folder, parameters = r.Run.Predictor.Model.ParameterCount, bits = bits[i] }),
        kept,
    });
}
