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
    static readonly Option<bool> DenseOption = new("--dense") { Description = "Into the dense twin, the one student that there is: has to be given." };
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
        if (!parsed.GetValue(DenseOption)) throw new ConfigurationException("--dense: is missing; give it, as the dense twin is the one student that there is");
        if (!(soft is >= 0 and <= 1)) throw new ConfigurationException($"--soft {soft}: within 0 and 1");
        if (parsed.GetValue(StepsOption) is < 1) throw new ConfigurationException($"--steps {parsed.GetValue(StepsOption)}: at least 1");
        using var backend = BackendCatalog.Create(parsed.GetValue(BackendOption)!, parsed.GetValue(ThreadsOption), parsed.GetValue(PluginsOption));
        using var teacher = TrainingRun.Open(Found.As(Wanted.Run, folder), _ => backend);
        if (teacher.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
        var training = teacher.Config.Training with { Steps = parsed.GetValue(StepsOption) ?? Math.Max(1, teacher.Predictor.Step), Minutes = 0 };
        var place = parsed.GetValue(OutOption) ?? folder.TrimEnd('/', '\\') + "-dense";
        RunConfig Twin(double? share) =>
            DenseStudent.Config(folder, teacher.Config, training, share, parsed.GetValue(BackendOption)!, parsed.GetValue(ThreadsOption));

        // What cannot be is refused before anything is trained.
        var (twin, student) = (Twin(null), Twin(soft));
        var (alone, learnt) = (Path.Combine(place, "alone"), Path.Combine(place, "taught"));
        foreach (var made in parsed.GetValue(BaselineOption) is null ? [alone, learnt] : (string[])[learnt])
            TrainingRun.RefuseToClobber(made, parsed.GetValue(ForceOption));

        using var stop = new StopSignals();
        var dense = parsed.GetValue(BaselineOption) is { } baseline
            ? Given(baseline, backend, teacher.Data)
            : Train(parsed, stop, "dense, alone", alone, twin, backend, teacher, null);
        if (dense is null) return Stopped(stop, place);
        var begun = (Trainer trainer) => DenseStudent.Begin(folder, trainer);
        var taught = Train(parsed, stop, "dense, taught", learnt, student, backend, teacher, begun);
        if (taught is null) return Stopped(stop, place);

        Measured[] all = [Measured.Of("sparse teacher", teacher, teacher.Data), dense, taught];
        var kept = DenseStudent.Kept(all[0].Bits, all[1].Bits, all[2].Bits);
        Console.WriteLine(parsed.GetValue(JsonOption) ? Json(all, kept) : Table(all, kept, teacher.Data.Unit));
        return ExitCode.Ok;
    }

    /// <summary>What is printed of a run, which need not be held any longer.</summary>
    sealed record Measured(string Name, string Folder, long Parameters, long Steps, double Bits)
    {
        public static Measured Of(string name, TrainedRun run, RunData data) => new(name, run.Folder, run.Predictor.Model.ParameterCount, run.Predictor.Step,
            Evaluation.Run(run.Predictor, data.HeldOut(Evaluation.Batch, int.MaxValue)).BitsPerByte);
    }

    static Measured Given(string folder, IBackend backend, RunData data)
    {
        using var run = TrainingRun.Open(Found.As(Wanted.Run, folder), _ => backend);
        return Measured.Of("dense, given", run, data);
    }

    /// <summary>A run to its end; null where a signal stopped it.</summary>
    static Measured? Train(ParseResult parsed, StopSignals stop, string name, string folder, RunConfig config, IBackend backend, TrainedRun teacher,
        Action<Trainer>? start)
    {
        using var run = TrainingRun.Create(folder, config, backend, teacher.Data, parsed.GetValue(ForceOption), start, teacher);
        if (!parsed.GetValue(JsonOption)) Console.Error.WriteLine($"training {config.Training.Steps} steps: {run.Folder}");
        return run.Execute(_ => { }, _ => { }, stop.Token) == RunOutcome.Finished ? Measured.Of(name, run.Trained, teacher.Data) : null;
    }

    static int Stopped(StopSignals stop, string place)
    {
        Console.Error.WriteLine($"interrupted; its runs so far are in {place}");
        return 128 + stop.Signal;
    }

    static string Table(Measured[] all, double? kept, string unit)
    {
        List<string> lines = [$"{"",-16}{"parameters",14}{"steps",8}{"bits/" + unit,13}{"of the gain",13}"];
        for (var i = 0; i < all.Length; i++)
        {
            var share = i == 0 ? "100 %" : i == 1 ? "0 %" : kept is { } k ? string.Create(CultureInfo.InvariantCulture, $"{100 * k:F0} %") : "no gain";
            var run = all[i];
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{run.Name,-16}{run.Parameters,14:N0}{run.Steps,8}{run.Bits,13:F4}{share,13}"));
        }
        return string.Join(Environment.NewLine, lines);
    }

    static string Json(Measured[] all, double? kept) => JsonSerializer.Serialize(new
    {
        runs = all.Select(r => new { name = r.Name, folder = r.Folder, parameters = r.Parameters, bits = r.Bits }),
        kept,
    });
}
