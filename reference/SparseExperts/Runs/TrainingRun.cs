using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Why a run stopped.</summary>
public enum RunOutcome { Finished, Interrupted }

/// <summary>A moment of a run, for whoever watches: the last step, its throughput, and the share of the budget that is spent.</summary>
public sealed record RunProgress(StepResult Last, double BitsPerByte, double TokensPerSecond, double Progress, double SecondsLeft, double? HeldOut);

/// <summary>A run's folder with its model: enough to evaluate it, to let it write, and to report on it.</summary>
public sealed record TrainedRun(string Folder, RunConfig Config, Predictor Predictor, RunData Data) : IDisposable
{
    public ByteText Text => Data.Text;

    /// <summary>What was passed over to find a whole checkpoint; null where the newest is whole.</summary>
    public string? Note { get; init; }

    /// <summary>Gives the model's memory back to its backend, which lives longer.</summary>
    public void Dispose() => Predictor.Dispose();
}

/// <summary>
/// A run and its folder: <c>config.json</c>, <c>metrics.jsonl</c>, <c>checkpoints/</c>, <c>report.html</c>. What is measured never changes what is
/// trained: a run that was killed and resumed ends with the same bytes as one that was not.
/// </summary>
public sealed partial class TrainingRun : IDisposable
{
    const int KeepCheckpoints = 2, Evaluations = 10, Looks = 4;

    readonly IBatches _batches;
    readonly double _secondsBefore;
    readonly RunLock _lock;
    readonly Held _held;
    double _nextEvaluation;

    TrainingRun(string folder, RunLock @lock, RunConfig config, Held held, RunData data, double secondsBefore)
    {
        (Folder, _lock, Config, _held, Data, _secondsBefore) = (folder, @lock, config, held, data, secondsBefore);
        _batches = data.Batches(config.Training);
        _nextEvaluation = Math.Floor(Progress(0) * Evaluations + 1) / Evaluations;
    }

    public string Folder { get; }
    public RunConfig Config { get; }
    public Trainer Trainer => _held.Trainer;
    public RunData Data { get; }
    public ByteText Text => Data.Text;

    /// <summary>What was passed over to find a whole checkpoint to go on from, or put back; null where nothing was.</summary>
    public string? Note { get; private init; }

    /// <summary>Time spent in training steps since the run was opened; evaluations and checkpoints left out.</summary>
    public TimeSpan StepTime { get; private set; }

    /// <summary>The model as it is now; it goes with the run.</summary>
    public TrainedRun Trained => new(Folder, Config, Trainer, Data);

    public static string ConfigPath(string folder) => Path.Combine(folder, "config.json");
    public static string MetricsPath(string folder) => Path.Combine(folder, "metrics.jsonl");
    public static string CheckpointFolder(string folder) => Path.Combine(folder, "checkpoints");
    public static string ProfilePath(string folder) => Path.Combine(folder, "profile.json");
    public static string ReportPath(string folder) => Path.Combine(folder, "report.html");

    /// <summary>The folder as this run began it; null where the run goes on with an earlier one.</summary>
    BegunFolder? Begun { get; init; }

    /// <summary>
    /// Gives the folder free for another writer, and the memory back to the backend, which lives longer. Of a new run that ends before anything of it was
    /// saved, nothing stays, and what it was to replace does.
    /// </summary>
    public void Dispose()
    {
        Begun?.TakeBack();
        _held.Dispose();
        _lock.Dispose();
    }

    /// <summary>What a run holds of its backend: the trainer, and a teacher that nobody else holds.</summary>
    sealed class Held : IDisposable
    {
        readonly TrainedRun? _teacher;

        /// <param name="given">The configuration's teacher where it is open already; it stays its owner's.</param>
        public Held(RunConfig config, IBackend backend, TrainedRun? given = null)
        {
            try
            {
                _teacher = given is null && config.Teacher is { } asked ? Open(asked.Run, _ => backend) : null;
                // What the run goes down: the labels' loss, or a teacher's with it.
                var objective = config.Teacher is { } teacher ? new Distillation((given ?? _teacher)!.Predictor, teacher.Share) : null;
                Trainer = new(backend, config.Model, config.Training, objective);
            }
            catch
            {
                _teacher?.Dispose();
                throw;
            }
        }

        public Trainer Trainer { get; }

        public void Dispose()
        {
            Trainer.Dispose();
            _teacher?.Dispose();
        }
    }

    /// <summary>Starts a run in a folder that must not hold anything, unless <paramref name="force"/> lets an earlier run be replaced.</summary>
    /// <param name="start">Puts numbers into the model before the first step; null leaves its start values.</param>
    /// <param name="teacher">The configuration's teacher where it is open already, on the same backend; null opens it.</param>
    public static TrainingRun Create(string folder, RunConfig config, IBackend backend, RunData data, bool force, Action<Trainer>? start = null,
        TrainedRun? teacher = null)
    {
        RefuseToClobber(folder, force);
        foreach (var read in (string?[])[config.From, config.Teacher?.Run])
            if (read is not null && SamePlace(read, folder))
                throw new RunException($"{folder}: holds the run that the new one learns from; name another folder", "out");
        config = config with { Numerics = NumericsVersion.Current, Family = config.Model.Family, Tokenizer = data.Tokenizer?.KeptBeside(config.From) };
        MemoryEstimate.Require(config.Model, config.Training, backend);
        data.RequireHeldOut();
        return Kept(new Held(config, backend, teacher), held =>
        {
            start?.Invoke(held.Trainer);
            var isMade = !Directory.Exists(folder);
            Directory.CreateDirectory(folder);
            return Kept(RunLock.Take(folder), key => Begin(folder, isMade, key, config, held, data, force));
        });
    }

    static TrainingRun Begin(string folder, bool isMade, RunLock key, RunConfig config, Held held, RunData data, bool force)
    {
        new ReplacedRun(folder).Settle();
        RefuseToClobber(folder, force);
        var begun = new BegunFolder(folder, isMade, key);
        try
        {
            begun.Clear();
            HubSource.Take(config.From, folder);
            if (config.Tokenizer is { } kept) data.Tokenizer!.Write(folder, kept);
            AtomicFile.WriteText(ConfigPath(folder), config.ToJson() + "\n");
            return new(folder, key, config, held, data, 0) { Begun = begun };
        }
        catch
        {
            begun.TakeBack();
            throw;
        }
    }

    /// <summary>What is opened with something that it owns from then on; where it cannot be, that is disposed of.</summary>
    static TOpened Kept<TOwned, TOpened>(TOwned owned, Func<TOwned, TOpened> open) where TOwned : IDisposable
    {
        try
        {
            return open(owned);
        }
        catch
        {
            owned.Dispose();
            throw;
        }
    }

    static bool SamePlace(string a, string b) => Real(a) == Real(b);

    static string Real(string folder)
    {
        var target = Directory.Exists(folder) ? Directory.ResolveLinkTarget(folder, returnFinalTarget: true) : null;
        return Path.TrimEndingDirectorySeparator(target?.FullName ?? Path.GetFullPath(folder));
    }

    /// <summary>An existing folder is only ever replaced when asked, and only if it holds a run.</summary>
    /// <param name="force">Whether it was asked; null where nobody can ask.</param>
    public static void RefuseToClobber(string folder, bool? force)
    {
        if (folder.Length == 0) throw new RunException("the run folder's name is empty; name a folder", "out");
        if (File.Exists(folder)) throw new RunException($"{folder}: is a file; name a folder", "out");
        for (var above = Path.GetDirectoryName(Path.GetFullPath(folder)); above is not null; above = Path.GetDirectoryName(above))
            if (File.Exists(above)) throw new RunException($"{folder}: {above} is no folder; name a place in one", "out");
        if (!Directory.Exists(folder) || Directory.EnumerateFileSystemEntries(folder).All(RunLock.IsOwn)) return;
        if (force is null) throw new RunException($"{folder}: exists and is not empty; name another folder", "out");
        if (force == false)
            throw new RunException($"{folder}: exists and is not empty; go on with its run, replace it, or name another folder", "resume", "force", "out");
        if (!File.Exists(ConfigPath(folder)))
            throw new RunException($"{folder}: holds no run (no config.json), so it is not replaced; name another folder", "out");
    }

    /// <summary>Goes on from the newest whole checkpoint, or from the start if there is none yet.</summary>
    public static TrainingRun Resume(string folder, Func<RunConfig, IBackend> backend)
    {
        // No lock is left where no run is.
        if (ReadConfig(folder).IsImported)
            throw new RunException($"{folder}: was imported and has no training to go on with; begin one from it, with a text", "from", "text");
        return Kept(RunLock.Take(folder), key =>
        {
            var isBack = new ReplacedRun(folder).Settle();
            var (config, data) = Read(folder);
            var machine = backend(config);
            MemoryEstimate.Require(config.Model, config.Training, machine);
            return Kept(new Held(config, machine), held => Resumed(folder, key, config, held, data, isBack));
        });
    }

    /// <param name="isBack">Whether the folder was another's, which ended before it had saved anything.</param>
    static TrainingRun Resumed(string folder, RunLock key, RunConfig config, Held held, RunData data, bool isBack)
    {
        Directory.CreateDirectory(CheckpointFolder(folder));
        Checkpoint.LoadNewest(CheckpointFolder(folder), path => Checkpoint.Load(held.Trainer, path), isWriter: true, out var note);
        Checkpoint.Tidy(CheckpointFolder(folder), KeepCheckpoints);
        var metrics = MetricsFile.CutAfter(MetricsPath(folder), held.Trainer.Step);
        var back = isBack ? $"{folder}: the run that was to replace this one was stopped before it saved anything; this one has its place again" : null;
        var notes = string.Join("; ", ((string?[])[back, note]).OfType<string>());
        return new(folder, key, config, held, data, metrics.LastOrDefault()?.Seconds ?? 0) { Note = notes.Length > 0 ? notes : null };
    }

    /// <summary>A run's trained model for evaluation, generation or a report; no optimizer state is made or read.</summary>
    public static TrainedRun Open(string folder, Func<RunConfig, IBackend> backend)
    {
        var (config, data) = Read(folder);
        var checkpoints = CheckpointFolder(folder);
        if (!Checkpoint.Any(checkpoints)) throw NoCheckpoint(folder, config);
        Trainer.Validate(config.Model, config.Training);
        var machine = backend(config);
        Predictor? predictor = null;
        string? note = null;
        // Whoever trains on may delete old checkpoints while they are looked at: then there are newer ones.
        for (var look = 0; look < Looks && predictor is null; look++)
            Checkpoint.LoadNewest(checkpoints, path => predictor = Checkpoint.OpenModel(machine, config.Model, path), isWriter: false, out note);
        return predictor is null
            ? throw new RunException($"{folder}: its checkpoints went away while they were read; try again")
            : new TrainedRun(folder, config, predictor, data) { Note = note };
    }

    /// <summary>What is to be done about a run without a checkpoint, which an imported one cannot be trained to.</summary>
    internal static RunException NoCheckpoint(string folder, RunConfig config)
    {
        if (config.IsImported) return new($"{folder}: was imported, and its checkpoint is not whole; import it again");
        var old = ReplacedRun.Of(folder) is { } replaced ? $" (the run that it replaces is in {replaced} until then)" : "";
        return new($"{folder}: has no checkpoint yet{old}; go on with its training");
    }

    static void Require(string folder)
    {
        if (File.Exists(folder)) throw new RunException($"{folder}: is a file; name the folder of a run");
        if (!Directory.Exists(folder)) throw new RunException($"{folder}: no such folder; name the folder of a run");
        if (!File.Exists(ConfigPath(folder))) throw new RunException($"{folder}: holds no run (no config.json); name the folder that training printed");
    }

    /// <summary>The configuration of the run in a folder.</summary>
    public static RunConfig ReadConfig(string folder)
    {
        Require(folder);
        return RunConfig.Load(ConfigPath(folder));
    }

    /// <summary>Puts the newest whole model of a run into a trainer whose model has the same matrices; the trainer begins at step 0.</summary>
    public static void LoadModel(string folder, Trainer trainer)
    {
        if (Checkpoint.LoadNewest(CheckpointFolder(folder), path => Checkpoint.LoadModel(trainer, path), isWriter: false, out _) is null)
            throw NoCheckpoint(folder, ReadConfig(folder));
        trainer.Step = 0;
    }

    static (RunConfig, RunData) Read(string folder)
    {
        var config = ReadConfig(folder);
        var tokenizer = config.Tokenizer is { } kept ? RunTokenizer.Open(folder, kept) : null;
        if (config.IsImported) return (config, new NoText(config.Model) { Tokenizer = tokenizer });
        var text = RunData.LoadText(config.Data, config.Text, config.Model);
        if (text.Hash != config.TextHash)
        {
            var differs = $"{config.Text}: is not the text that the run in {folder} began with (SHA-256 differs)";
            throw new RunException($"{differs}; put the old text back or start a new run");
        }
        return (config, RunData.Of(config.Data, text, config.Model, tokenizer, config.Mixture, config.Spans));
    }
}
