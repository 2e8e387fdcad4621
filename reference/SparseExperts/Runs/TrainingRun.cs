using System.Diagnostics;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Why a run stopped.</summary>
public enum RunOutcome { Finished, Interrupted }

/// <summary>A moment of a run, for whoever watches: the last step, its throughput, and the share of the budget that is spent.</summary>
public sealed record RunProgress(StepResult Last, double BitsPerByte, double TokensPerSecond, double Progress, double SecondsLeft, double? HeldOut);

/// <summary>A run's folder with its model: enough to evaluate it, to let it write, and to report on it.</summary>
public sealed record TrainedRun(string Folder, RunConfig Config, Predictor Predictor, ByteText Text);

/// <summary>
/// A run and its folder: <c>config.json</c>, <c>metrics.jsonl</c>, <c>checkpoints/</c>, <c>report.html</c>. What is measured never changes what is
/// trained: a run that was killed and resumed ends with the same bytes as one that was not.
/// </summary>
public sealed class TrainingRun
{
    const int LogEvery = 20, KeepCheckpoints = 2, QuickWindows = 64, Evaluations = 10;

    readonly ByteText _text;
    readonly ByteBatches _batches;
    readonly double _secondsBefore;
    double _nextEvaluation;

    TrainingRun(string folder, RunConfig config, Trainer trainer, ByteText text, double secondsBefore)
    {
        (Folder, Config, Trainer, _text, _secondsBefore) = (folder, config, trainer, text, secondsBefore);
        _batches = new(text, config.Training.Seed, config.Training.Batch, config.Model);
        _nextEvaluation = Math.Floor(Progress(0) * Evaluations + 1) / Evaluations;
    }

    public string Folder { get; }
    public RunConfig Config { get; }
    public Trainer Trainer { get; }
    public ByteText Text => _text;

    /// <summary>Time spent in training steps since the run was opened; evaluations and checkpoints left out.</summary>
    public TimeSpan StepTime { get; private set; }

    /// <summary>The model as it is now.</summary>
    public TrainedRun Trained => new(Folder, Config, Trainer, _text);

    public static string ConfigPath(string folder) => Path.Combine(folder, "config.json");
    public static string MetricsPath(string folder) => Path.Combine(folder, "metrics.jsonl");
    public static string CheckpointFolder(string folder) => Path.Combine(folder, "checkpoints");
    public static string ProfilePath(string folder) => Path.Combine(folder, "profile.json");
    public static string ReportPath(string folder) => Path.Combine(folder, "report.html");

    /// <summary>Starts a run in a folder that must not hold anything, unless <paramref name="force"/> lets an earlier run be replaced.</summary>
    public static TrainingRun Create(string folder, RunConfig config, IBackend backend, ByteText text, bool force)
    {
        RefuseToClobber(folder, force);
        config = config with { Numerics = NumericsVersion.Current, Family = config.Model.Family };
        var trainer = new Trainer(backend, config.Model, config.Training);
        Directory.CreateDirectory(folder);
        if (Directory.Exists(CheckpointFolder(folder))) Directory.Delete(CheckpointFolder(folder), true);
        File.Delete(MetricsPath(folder));
        File.Delete(ReportPath(folder));
        File.Delete(ProfilePath(folder));
        AtomicFile.WriteText(ConfigPath(folder), config.ToJson() + "\n");
        return new(folder, config, trainer, text, 0);
    }

    /// <summary>An existing folder is only ever replaced when asked, and only if it holds a run.</summary>
    public static void RefuseToClobber(string folder, bool force)
    {
        if (File.Exists(folder)) throw new RunException($"{folder}: is a file; name a folder", "out");
        if (!Directory.Exists(folder) || !Directory.EnumerateFileSystemEntries(folder).Any()) return;
        if (!force)
            throw new RunException($"{folder}: exists and is not empty; go on with its run, replace it, or name another folder", "resume", "force", "out");
        if (!File.Exists(ConfigPath(folder)))
            throw new RunException($"{folder}: holds no run (no config.json), so it is not replaced; name another folder", "out");
    }

    /// <summary>Goes on from the newest whole checkpoint, or from the start if there is none yet.</summary>
    public static TrainingRun Resume(string folder, Func<RunConfig, IBackend> backend)
    {
        var (config, text) = Read(folder);
        var trainer = new Trainer(backend(config), config.Model, config.Training);
        Directory.CreateDirectory(CheckpointFolder(folder));
        if (Checkpoint.Latest(CheckpointFolder(folder)) is { } latest) Checkpoint.Load(trainer, latest);
        Checkpoint.Tidy(CheckpointFolder(folder), KeepCheckpoints);
        var metrics = MetricsFile.CutAfter(MetricsPath(folder), trainer.Step);
        return new(folder, config, trainer, text, metrics.LastOrDefault()?.Seconds ?? 0);
    }

    /// <summary>A run's trained model for evaluation, generation or a report; no optimizer state is made or read.</summary>
    public static TrainedRun Open(string folder, Func<RunConfig, IBackend> backend)
    {
        var (config, text) = Read(folder);
        var latest = Checkpoint.Latest(CheckpointFolder(folder)) ?? throw new RunException($"{folder}: has no checkpoint yet; go on training it", "resume");
        Trainer.Validate(config.Model, config.Training);
        var predictor = new Predictor(backend(config), config.Model, config.Training.Seed);
        Checkpoint.LoadModel(predictor, latest);
        return new(folder, config, predictor, text);
    }

    static (RunConfig, ByteText) Read(string folder)
    {
        if (!Directory.Exists(folder)) throw new RunException($"{folder}: no such folder; name the folder of a run");
        if (!File.Exists(ConfigPath(folder))) throw new RunException($"{folder}: holds no run (no config.json); name the folder that training printed");
        var config = RunConfig.Load(ConfigPath(folder));
        var text = ByteText.Load(config.Text, config.Model.Context);
        if (text.Hash != config.TextHash)
        {
            var differs = $"{config.Text}: is not the text that the run in {folder} began with (SHA-256 differs)";
            throw new RunException($"{differs}; put the old text back or start a new run");
        }
        return (config, text);
    }

    double Progress(double seconds) => Config.Training.Steps > 0
        ? (double)Trainer.Step / Config.Training.Steps
        : (_secondsBefore + seconds) / (Config.Training.Minutes * 60);

    /// <summary>Trains until steps or minutes are spent, or until <paramref name="cancel"/>; either way the last state is saved.</summary>
    public RunOutcome Execute(Action<RunProgress> watch, Action<MetricsLine> log, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        double bits = 0, secondsAtLog = 0;
        int steps = 0, tokens = Config.Training.Batch * Config.Model.Context;
        double? heldOut = null;
        while (Progress(clock.Elapsed.TotalSeconds) is var progress && progress < 1 && !cancel.IsCancellationRequested)
        {
            var logging = (Trainer.Step + 1) % LogEvery == 0;
            var began = clock.Elapsed;
            var result = Trainer.Train(_batches, progress, logging);
            StepTime += clock.Elapsed - began;
            if (!result.Skipped) bits += result.BitsPerByte;
            steps++;
            var seconds = clock.Elapsed.TotalSeconds;
            var after = Progress(seconds);
            var speed = steps * tokens / Math.Max(1e-9, seconds - secondsAtLog);
            watch(new(result, bits / steps, speed, after, after > 0 ? (_secondsBefore + seconds) / after * Math.Max(0, 1 - after) : 0, heldOut));
            if (logging)
            {
                var due = after >= _nextEvaluation && after < 1;
                if (due)
                {
                    heldOut = Evaluation.Run(Trainer, _text.HeldOut, QuickWindows).BitsPerByte;
                    _nextEvaluation = Math.Floor(after * Evaluations + 1) / Evaluations;
                }
                Write(log, Line(result, bits / steps, speed, seconds) with { HeldOutBitsPerByte = due ? heldOut : null });
                (bits, steps, secondsAtLog) = (0, 0, clock.Elapsed.TotalSeconds);
            }
            if (Trainer.Step % Config.CheckpointEvery == 0 && after < 1) Save();
        }
        return Finish(log, clock.Elapsed.TotalSeconds, cancel.IsCancellationRequested && Progress(clock.Elapsed.TotalSeconds) < 1);
    }

    RunOutcome Finish(Action<MetricsLine> log, double seconds, bool interrupted)
    {
        var last = MetricsFile.Read(MetricsPath(Folder)).LastOrDefault();
        if (!interrupted && (last?.Step != Trainer.Step || last.HeldOutBitsPerByte is null))
        {
            var evaluation = Evaluation.Run(Trainer, _text.HeldOut);
            Write(log, new() { Step = Trainer.Step, Seconds = _secondsBefore + seconds, HeldOutBitsPerByte = evaluation.BitsPerByte,
                DropRate = evaluation.DropRate, Skipped = Trainer.Skipped });
        }
        Save();
        return interrupted ? RunOutcome.Interrupted : RunOutcome.Finished;
    }

    void Save()
    {
        Checkpoint.Save(Trainer, CheckpointFolder(Folder));
        Checkpoint.Tidy(CheckpointFolder(Folder), KeepCheckpoints);
    }

    void Write(Action<MetricsLine> log, MetricsLine line)
    {
        MetricsFile.Append(MetricsPath(Folder), line);
        log(line);
    }

    MetricsLine Line(StepResult result, double bits, double speed, double seconds) => new()
    {
        Step = result.Step,
        Seconds = _secondsBefore + seconds,
        TrainBitsPerByte = Finite(bits),
        TokensPerSecond = speed,
        LearningRate = result.Rate,
        GradientNorm = Finite(result.GradientNorm),
        DropRate = result.DropRates.Length > 0 ? result.DropRates.Average() : null,
        LayerDropRate = result.DropRates.Length > 0 ? result.DropRates : null,
        Load = result.Loads.Length > 0 ? result.Loads : null,
        RouterEntropy = result.Entropies.Length > 0 ? result.Entropies : null,
        Skipped = Trainer.Skipped,
    };

    static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
