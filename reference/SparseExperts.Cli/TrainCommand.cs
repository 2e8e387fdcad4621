using System.CommandLine;
using System.Globalization;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary><c>moe train</c>: trains a language model on a text, or goes on with an earlier run.</summary>
static class TrainCommand
{
    static readonly Option<string?> TextOption = new("--text")
    {
        Description = "Text file, or folder of texts; any bytes will do. Default: the novels that come with the program.",
    };
    static readonly Option<string> PresetOption = new("--preset")
    {
        Description = $"Starting point: {string.Join("; ", Presets.All.Select(p => $"{p.Name} ({p.Purpose})"))}.",
        DefaultValueFactory = _ => "default",
    };
    static readonly Option<int?> ExpertsOption = new("--experts") { Description = "Experts of a sparse layer." };
    static readonly Option<double?> CapacityOption = new("--capacity-factor") { Description = "Capacity factor while training." };
    static readonly Option<string?> DialectOption = new("--dialect")
    {
        Description = "How the sparse layers route: a name of moe dialects, or a JSON file. Default: mesh.switch with roomier experts.",
    };
    static readonly Option<bool> DenseOption = new("--dense") { Description = "Train the dense twin: equal FLOPs a token, no experts." };
    static readonly Option<long?> StepsOption = new("--steps") { Description = "Train this many steps." };
    static readonly Option<double?> MinutesOption = new("--minutes") { Description = "Train this long; the schedule follows the clock." };
    static readonly Option<ulong?> SeedOption = new("--seed") { Description = "Seed of weights, data order and dropout." };
    static readonly Option<int?> BatchOption = new("--batch") { Description = "Sequences a step." };
    static readonly Option<int?> AccumulateOption = new("--accumulate")
    {
        Description = "Run a step's batch in so many micro-batches, one after the other: less memory, and the same numbers wherever routing lets it.",
    };
    static readonly Option<int?> ContextOption = new("--context") { Description = "Bytes a sequence." };
    static readonly Option<int?> WidthOption = new("--width") { Description = "Model width; the hidden width becomes four times as much." };
    static readonly Option<int?> LayersOption = new("--layers") { Description = "Blocks." };
    static readonly Option<double?> RateOption = new("--rate") { Description = "Peak learning rate." };
    static readonly Option<OptimizerKind?> OptimizerOption = new("--optimizer") { Description = "adamw or adafactor." };
    static readonly Option<int> ThreadsOption = CommonOptions.Threads();
    static readonly Option<string> BackendOption = CommonOptions.Backend();
    static readonly Option<Precision> PrecisionOption = CommonOptions.Precision();
    static readonly Option<string?> PluginsOption = CommonOptions.Plugins();
    static readonly Option<string?> OutOption = new("--out") { Description = "Run folder. Default: a new one below runs/." };
    static readonly Option<long> CheckpointOption = new("--checkpoint-every") { Description = "Save every so many steps.", DefaultValueFactory = _ => 500 };
    static readonly Option<string?> ResumeOption = new("--resume") { Description = "Go on with the run in this folder; needs nothing else." };
    static readonly Option<bool> RecomputeOption = new("--recompute")
    {
        Description = "Compute a block's activations again in the backward pass instead of keeping them: less memory, more time, the same numbers.",
    };
    static readonly Option<bool> ProfileOption = CommonOptions.Profile();
    static readonly Option<bool> ForceOption = new("--force") { Description = "Replace the run that the folder holds." };
    static readonly Option<bool> JsonOption = new("--json") { Description = "One JSON object a line instead of progress for people." };

    /// <summary>What may differ from the run's own configuration when it goes on.</summary>
    static readonly Option[] OfTheMachine = [ResumeOption, JsonOption, ThreadsOption, BackendOption, PrecisionOption, PluginsOption, ProfileOption];

    public static Command Create()
    {
        var command = new Command("train", "Train a sparse language model on a text.")
        {
            TextOption, PresetOption, DialectOption, ExpertsOption, CapacityOption, DenseOption, StepsOption, MinutesOption, SeedOption,
            BatchOption, AccumulateOption, ContextOption, WidthOption, LayersOption, RateOption, OptimizerOption, ThreadsOption, BackendOption,
            PrecisionOption, PluginsOption, OutOption, CheckpointOption, ResumeOption, RecomputeOption, ProfileOption, ForceOption, JsonOption,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        IBackend? backend = null;
        try
        {
            using var run = parsed.GetValue(ResumeOption) is { } folder ? Resume(parsed, folder, ref backend) : Start(parsed, ref backend);
            if (run.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
            return Execute(run, parsed.GetValue(JsonOption));
        }
        finally
        {
            backend?.Dispose();
        }
    }

    static TrainingRun Resume(ParseResult parsed, string folder, ref IBackend? backend)
    {
        var given = parsed.CommandResult.Children.OfType<System.CommandLine.Parsing.OptionResult>()
            .FirstOrDefault(r => !r.Implicit && !OfTheMachine.Contains(r.Option));
        if (given is not null)
            throw new ConfigurationException($"{given.Option.Name}: not with --resume, the run's own configuration is in {folder}; leave it out");
        IBackend? made = null;
        var run = TrainingRun.Resume(folder, config => made = Create(
            parsed,
            parsed.GetResult(BackendOption) is { Implicit: false } ? parsed.GetValue(BackendOption)! : config.Backend,
            parsed.GetResult(ThreadsOption) is { Implicit: false } ? parsed.GetValue(ThreadsOption) : config.Threads,
            parsed.GetResult(PrecisionOption) is { Implicit: false } ? parsed.GetValue(PrecisionOption) : config.Precision));
        backend = made;
        if (run.Config.Numerics != NumericsVersion.Current)
        {
            var both = $"began with numerics {run.Config.Numerics}, this program computes with {NumericsVersion.Current}";
            Console.Error.WriteLine($"warning: {folder} {both}: it goes on, with other bits than either alone would give");
        }
        return run;
    }

    static TrainingRun Start(ParseResult parsed, ref IBackend? backend)
    {
        var preset = Presets.Find(parsed.GetValue(PresetOption)!);
        var (model, training) = (Model(parsed, preset.Model), Training(parsed, preset.Training));
        Trainer.Validate(model, training);
        var every = parsed.GetValue(CheckpointOption);
        if (every < 1) throw new ConfigurationException($"--checkpoint-every {every}: at least 1 step");
        if (model.Experts > 0 && model.Dialect.Causality == Causality.LooksAhead)
        {
            var flattered = "held-out numbers of this causal model are flattered, and text comes out worse than they say";
            Console.Error.WriteLine($"warning: {model.Dialect.Name} lets later tokens decide what earlier ones get; {flattered}");
        }
        if (BatchWide.Difference(model, training.Batch, training.Accumulate) is { } difference)
        {
            var parts = $"{training.Accumulate} micro-batches of {training.Batch / training.Accumulate}";
            Console.Error.WriteLine($"note: {parts} are not the batch of {training.Batch} in one: {difference}");
        }
        var text = ByteText.Load(Path.GetFullPath(parsed.GetValue(TextOption) ?? DefaultText()), model.Context);
        var folder = parsed.GetValue(OutOption) ?? NewFolder(text.Path, model, training);
        TrainingRun.RefuseToClobber(folder, parsed.GetValue(ForceOption));
        backend = Create(parsed, parsed.GetValue(BackendOption)!, parsed.GetValue(ThreadsOption), parsed.GetValue(PrecisionOption));
        var config = new RunConfig
        {
            Preset = preset.Name,
            Model = model,
            Training = training,
            Text = text.Path,
            TextBytes = text.Length,
            TextHash = text.Hash,
            Backend = parsed.GetValue(BackendOption)!,
            Precision = parsed.GetValue(PrecisionOption),
            Threads = parsed.GetValue(ThreadsOption),
            CheckpointEvery = every,
        };
        return TrainingRun.Create(folder, config, backend, text, parsed.GetValue(ForceOption));
    }

    static IBackend Create(ParseResult parsed, string name, int threads, Precision precision)
    {
        var backend = BackendCatalog.Create(name, threads, parsed.GetValue(PluginsOption), precision);
        return parsed.GetValue(ProfileOption) ? new CountingBackend(backend, waits: true) : backend;
    }

    static ModelConfig Model(ParseResult parsed, ModelConfig preset)
    {
        var (dense, given) = (parsed.GetValue(DenseOption), parsed.GetValue(ExpertsOption));
        if (dense && given is not null) throw new ConfigurationException("--dense and --experts: give one of them");
        var dialect = Dialect(parsed, preset.Dialect);
        return preset with
        {
            Experts = dense ? 0
                : given is { } experts ? NotZero("--experts", experts, "or --dense for the dense twin")
                : DialectRules.Fitting(dialect, preset.Experts),
            Dialect = dialect,
            Context = parsed.GetValue(ContextOption) ?? preset.Context,
            Width = parsed.GetValue(WidthOption) ?? preset.Width,
            Hidden = parsed.GetValue(WidthOption) is { } width ? 4 * width : preset.Hidden,
            Layers = parsed.GetValue(LayersOption) ?? preset.Layers,
        };
    }

    static Dialect Dialect(ParseResult parsed, Dialect preset)
    {
        var dialect = parsed.GetValue(DialectOption) is { } name ? DialectFile.Resolve(name) : preset;
        if (parsed.GetValue(DialectOption) is not null && parsed.GetValue(DenseOption))
            throw new ConfigurationException("--dense and --dialect: give one of them");
        if (parsed.GetValue(CapacityOption) is not { } factor) return dialect;
        if (!(factor > 0 && double.IsFinite(factor))) throw new ConfigurationException($"capacity factor {factor}: a positive number");
        return dialect.Parameters.Contains("capacity_factor") && dialect.Capacity is null
            ? dialect with { CapacityFactor = factor }
            : throw new ConfigurationException($"--capacity-factor: {dialect.Name} has none; leave it out or choose a dialect that has one");
    }

    static int NotZero(string option, int value, string otherwise) =>
        value != 0 ? value : throw new ConfigurationException($"{option} 0: at least 2, {otherwise}");

    static TrainingConfig Training(ParseResult parsed, TrainingConfig preset)
    {
        var (steps, minutes) = (parsed.GetValue(StepsOption), parsed.GetValue(MinutesOption));
        if (steps is not null && minutes is not null) throw new ConfigurationException("--steps and --minutes: give one of them");
        if (steps is < 1) throw new ConfigurationException($"--steps {steps}: at least 1");
        if (minutes is not null and not (> 0 and <= 1e6)) throw new ConfigurationException($"--minutes {minutes}: a positive number");
        return preset with
        {
            Steps = steps ?? (minutes is null ? preset.Steps : 0),
            Minutes = minutes ?? (steps is null ? preset.Minutes : 0),
            Seed = parsed.GetValue(SeedOption) ?? preset.Seed,
            Batch = parsed.GetValue(BatchOption) ?? preset.Batch,
            Accumulate = parsed.GetValue(AccumulateOption) ?? preset.Accumulate,
            Rate = parsed.GetValue(RateOption) ?? preset.Rate,
            Optimizer = parsed.GetValue(OptimizerOption) ?? preset.Optimizer,
            Recompute = parsed.GetValue(RecomputeOption) || preset.Recompute,
        };
    }

    static string DefaultText() => Path.Combine(AppContext.BaseDirectory, "data", "austen.txt");

    static string NewFolder(string text, ModelConfig model, TrainingConfig training)
    {
        var kind = model.Experts == 0 ? "dense" : $"{model.Experts}-experts";
        var now = DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture);
        var name = $"{Path.GetFileNameWithoutExtension(text)}-{kind}-seed{training.Seed}-{now}";
        var folder = Path.Combine("runs", name);
        for (var n = 2; Directory.Exists(folder); n++) folder = Path.Combine("runs", $"{name}-{n}");
        return folder;
    }

    /// <summary>Where the backend plans by itself and not for this dialect, every step waits for the host: that is said once.</summary>
    static string? HostPlans(TrainingRun run)
    {
        var model = run.Config.Model;
        return model.Experts > 0 && run.Trainer.Backend.Routing is not null && BackendPlanning.HostReason(model.Dialect, training: true) is { } reason
            ? $"the host plans {model.Dialect.Name} ({reason}), and every step waits for it"
            : null;
    }

    static int Execute(TrainingRun run, bool json)
    {
        using var stop = new StopSignals();
        var screen = TrainingScreen.Choose(run, json);
        if (HostPlans(run) is { } reason) screen.Say(reason);
        var profiler = run.Trainer.Backend is CountingBackend counter ? new TrainingProfiler(counter, run) : null;
        var outcome = screen.Show((watch, log) => run.Execute(progress =>
        {
            stop.IfUnheard(() => watch(progress));
            profiler?.Watch(progress);
        }, line => stop.IfUnheard(() => log(line)), stop.Token));
        if (stop.Unheard is { } closed)
            throw new RunException($"standard output cannot be written ({closed.Message.TrimEnd('.')}); the run was saved at step {run.Trainer.Step}, "
                + $"go on with moe train --resume {run.Folder}");
        if (profiler?.Take() is { } profile)
            screen.Say($"{Environment.NewLine}{ProfileTable.Of(profile)}{Environment.NewLine}profile: {TrainingRun.ProfilePath(run.Folder)}");
        var finished = outcome == RunOutcome.Finished;
        if (finished && stop.WhileWritingReport(() => RunReportBuilder.Write(run.Trained)) is { } report)
        {
            screen.Done(MetricsFile.Read(TrainingRun.MetricsPath(run.Folder)).Last(), report);
            return ExitCode.Ok;
        }
        stop.IfUnheard(() => screen.Say(finished
            ? $"interrupted after the end, without a report; write it with: moe report {run.Folder}"
            : $"interrupted at step {run.Trainer.Step} and saved; go on with: moe train --resume {run.Folder}"));
        return 128 + stop.Signal;
    }
}
