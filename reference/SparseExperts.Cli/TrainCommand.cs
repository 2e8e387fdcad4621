using System.CommandLine;
using System.Globalization;
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
        Description = "Text file, or folder of texts, or tasks (.jsonl); any bytes will do. Default: the novels that come with the program.",
    };
    static readonly Option<string> PresetOption = new("--preset")
    {
        Description = $"Starting point: {string.Join("; ", Presets.All.Select(p => $"{p.Name} ({p.Purpose})"))}.",
        DefaultValueFactory = _ => "default",
    };
    static readonly ModelOptions OfModel = new();
    static readonly SpanOptions OfSpans = new();
    static readonly Option<DataKind?> DataOption = new("--data")
    {
        Description = "What is made of the text: bytes (the next one is predicted), spans (T5's, for an encoder and decoder) or tasks (a JSONL file "
            + "with input and target a line, likewise). Default: by model and file.",
    };
    static readonly Option<string?> FromOption = new("--from")
    {
        Description = "Begin with the model of the run in this folder and its configuration: fine-tuning.",
    };
    static readonly Option<bool> DryRunOption = new("--dry-run")
    {
        Description = "Print parameters, operations and bytes a rank, and train nothing.",
    };
    static readonly Option<double?> MixtureOption = new("--mixture")
    {
        Description = "Take every folder in the text's folder for a language, and draw from each by its size to the power of one over this temperature.",
    };
    static readonly Option<string?> TokenizerOption = new("--tokenizer")
    {
        Description = "Read the text as tokens: a tokenizer.json, a SentencePiece model, or a folder with one; the run keeps a copy. Default: bytes.",
    };
    static readonly Option<long?> StepsOption = new("--steps") { Description = "Train this many steps." };
    static readonly Option<double?> MinutesOption = new("--minutes") { Description = "Train this long; the schedule follows the clock." };
    static readonly Option<ulong?> SeedOption = new("--seed") { Description = "Seed of weights, data order and dropout." };
    static readonly Option<int?> BatchOption = new("--batch") { Description = "Sequences a step." };
    static readonly Option<int?> AccumulateOption = new("--accumulate")
    {
        Description = "Run a step's batch in so many micro-batches, one after the other: less memory, and the same numbers wherever routing lets it.",
    };
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
            TextOption, MixtureOption, TokenizerOption, PresetOption, DataOption, FromOption,
            StepsOption, MinutesOption, SeedOption, BatchOption, AccumulateOption,
            RateOption, OptimizerOption, ThreadsOption, BackendOption, PrecisionOption, PluginsOption, OutOption, CheckpointOption, ResumeOption,
            RecomputeOption, ProfileOption, DryRunOption, ForceOption, JsonOption,
        };
        foreach (var option in OfSpans.All.Concat(OfModel.All)) command.Add(option);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        if (parsed.GetValue(DryRunOption))
        {
            OfSpans.RefuseWith(parsed, "--dry-run, which reads no text and counts the preset's lengths");
            var (preset, model, training, _, _) = Asked(parsed);
            Console.WriteLine(DryRun.Of(preset, model, training, parsed.GetValue(JsonOption)));
            return ExitCode.Ok;
        }
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
        TrainingRun run;
        try
        {
            run = TrainingRun.Resume(Found.As(Wanted.Run, folder), config => made = Create(
                parsed,
                parsed.GetResult(BackendOption) is { Implicit: false } ? parsed.GetValue(BackendOption)! : config.Backend,
                parsed.GetResult(ThreadsOption) is { Implicit: false } ? parsed.GetValue(ThreadsOption) : config.Threads,
                parsed.GetResult(PrecisionOption) is { Implicit: false } ? parsed.GetValue(PrecisionOption) : config.Precision));
        }
        finally
        {
            backend = made;             // the caller's to dispose of, also where the run cannot be opened
        }
        if (run.Config.Numerics != NumericsVersion.Current)
        {
            var both = $"began with numerics {run.Config.Numerics}, this program computes with {NumericsVersion.Current}";
            Console.Error.WriteLine($"warning: {folder} {both}: it goes on, with other bits than either alone would give");
        }
        return run;
    }

    static TrainingRun Start(ParseResult parsed, ref IBackend? backend)
    {
        var (preset, model, training, from, tokenizer) = Asked(parsed);
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
        var begun = from is { Text.Length: > 0 } ? from : null;
        var path = Path.GetFullPath(parsed.GetValue(TextOption) ?? begun?.Text ?? DefaultText());
        var data = parsed.GetValue(DataOption) ?? (parsed.GetValue(TextOption) is null ? begun?.Data : null) ?? RunData.UsualKind(model, path);
        var text = RunData.LoadText(data, path, model);
        var mixture = parsed.GetValue(MixtureOption) ?? (parsed.GetValue(TextOption) is null ? from?.Mixture : null);
        var usual = data == DataKind.Spans && from is { Data: DataKind.Spans, Text.Length: > 0 } ? from.Spans ?? new() : RunData.UsualSpans(data, tokenizer);
        var spans = OfSpans.Apply(parsed, data, usual);
        if (from is null) model = RunData.Of(data, text, model, tokenizer, mixture, spans).Fitted(model);
        var folder = parsed.GetValue(OutOption) ?? NewFolder(text.Path, model, training);
        TrainingRun.RefuseToClobber(folder, parsed.GetValue(ForceOption));
        backend = Create(parsed, parsed.GetValue(BackendOption)!, parsed.GetValue(ThreadsOption), parsed.GetValue(PrecisionOption));
        var config = new RunConfig
        {
            Preset = preset,
            Model = model,
            Training = training,
            Data = data,
            Mixture = mixture,
            Spans = spans,
            From = parsed.GetValue(FromOption) is { } origin ? Path.GetFullPath(origin) : null,
            Text = text.Path,
            TextBytes = text.Length,
            TextHash = text.Hash,
            Backend = parsed.GetValue(BackendOption)!,
            Precision = parsed.GetValue(PrecisionOption),
            Threads = parsed.GetValue(ThreadsOption),
            CheckpointEvery = every,
        };
        Action<Trainer>? start = config.From is null ? null : trainer => OfModel.Load(parsed, config.From, trainer);
        return TrainingRun.Create(folder, config, backend, RunData.Of(data, text, model, tokenizer, mixture, spans), parsed.GetValue(ForceOption), start);
    }

    /// <summary>Model, training and tokenizer by the preset, or by the run that is begun with, and the options; and that run's configuration.</summary>
    static (string Preset, IModelConfig Model, TrainingConfig Training, RunConfig? From, RunTokenizer? Tokenizer) Asked(ParseResult parsed)
    {
        var named = parsed.GetValue(TokenizerOption) is { } path ? RunTokenizer.Load(path) : null;
        if (parsed.GetValue(FromOption) is not { } from)
        {
            var preset = Presets.Find(parsed.GetValue(PresetOption)!);
            var fresh = OfModel.Apply(parsed, preset.Model).With(new() { Vocabulary = RunData.Vocabulary(preset.Model, named) });
            return (preset.Name, fresh, Training(parsed, preset.Training), null, named);
        }
        if (parsed.GetResult(PresetOption) is { Implicit: false })
            throw new ConfigurationException($"--preset: not with --from, the model is the one in {from}; leave it out");
        var run = TrainingRun.ReadConfig(Found.As(Wanted.Run, from));
        var tokenizer = named ?? (run.Tokenizer is { } kept ? RunTokenizer.Open(from, kept) : null);
        if (named is not null && run.Tokenizer is { } its && its.Hash != named.Kept.Hash)
            throw new ConfigurationException($"--tokenizer: not with --from, the model in {from} knows the tokens of its own ({its.File}); leave it out");
        return (run.Preset, OfModel.Apply(parsed, run.Model, from), Training(parsed, run.Training), run, tokenizer);
    }

    static IBackend Create(ParseResult parsed, string name, int threads, Precision precision)
    {
        var backend = BackendCatalog.Create(name, threads, parsed.GetValue(PluginsOption), precision);
        return parsed.GetValue(ProfileOption) ? new CountingBackend(backend, waits: true) : backend;
    }

    static TrainingConfig Training(ParseResult parsed, TrainingConfig preset)
    {
        var (steps, minutes) = (parsed.GetValue(StepsOption), parsed.GetValue(MinutesOption));
        if (steps is not null && minutes is not null) throw new ConfigurationException("--steps and --minutes: give one of them");
        if (steps is < 1) throw new ConfigurationException($"--steps {steps}: at least 1");
        if (minutes is not null and not (> 0 and <= 1e6)) throw new ConfigurationException($"--minutes {minutes}: a positive number");
        var optimizer = parsed.GetValue(OptimizerOption) ?? preset.Optimizer;
        return preset with
        {
            Steps = steps ?? (minutes is null ? preset.Steps : 0),
            Minutes = minutes ?? (steps is null ? preset.Minutes : 0),
            Seed = parsed.GetValue(SeedOption) ?? preset.Seed,
            Batch = parsed.GetValue(BatchOption) ?? preset.Batch,
            Accumulate = parsed.GetValue(AccumulateOption) ?? preset.Accumulate,
            Rate = parsed.GetValue(RateOption) ?? preset.Rate,
            Optimizer = optimizer,
            Adafactor = optimizer == OptimizerKind.Adafactor ? preset.Adafactor ?? new() : null,
            Recompute = parsed.GetValue(RecomputeOption) || preset.Recompute,
        };
    }

    static string DefaultText() => Path.Combine(AppContext.BaseDirectory, "data", "austen.txt");

    static string NewFolder(string text, IModelConfig model, TrainingConfig training)
    {
        var kind = model.Experts == 0 ? "dense" : $"{model.Experts}-experts";
        var now = DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture);
        var name = $"{Path.GetFileNameWithoutExtension(text)}-{kind}-seed{training.Seed}-{now}";
        var folder = Path.Combine("runs", name);
        for (var n = 2; Directory.Exists(folder); n++) folder = Path.Combine("runs", $"{name}-{n}");
        return folder;
    }

    /// <summary>Where the backend plans by itself and not for this dialect or these batches, every step waits for the host: that is said once.</summary>
    static string? HostPlans(TrainingRun run)
    {
        var (model, batch) = (run.Config.Model, BackendPlanning.ReasonOfBatch(run.Config.Training.Accumulate > 1, run.Config.Data == DataKind.Tasks));
        if (model.Experts == 0 || run.Trainer.Backend.Routing is null) return null;
        var drops = model.ExpertDropout > 0 || model.Dialect.TokenDropout > 0;
        return (BackendPlanning.HostReason(model.Dialect, model.Experts, training: true, drops) ?? batch) is { } reason
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
