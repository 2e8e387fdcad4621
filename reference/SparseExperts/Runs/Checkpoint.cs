using System.Globalization;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// A checkpoint is a folder <c>step-00000100</c> with <c>model.safetensors</c> (parameters, what routers carry), <c>optimizer.safetensors</c> (what only
/// training on needs) and <c>state.json</c> (counters, checksums).
/// It is written under another name and renamed when complete, so a folder with the right name is whole. Nothing in it depends on time,
/// machine or threads: equal training gives equal bytes.
/// </summary>
public static class Checkpoint
{
    const string Prefix = "step-", Unfinished = ".unfinished-", Damaged = "damaged-",
        ModelFile = "model.safetensors", OptimizerFile = "optimizer.safetensors";

    /// <summary>The folder of a step's checkpoint.</summary>
    internal static string NameOf(long step) => $"{Prefix}{step:D8}";

    /// <summary>Writes the trainer's state below <paramref name="folder"/> and returns the checkpoint's path.</summary>
    public static string Save(Trainer trainer, string folder)
    {
        if (trainer.StepsAhead > 0) throw new InvalidOperationException("steps that nobody waited for are not saved; settle them first");
        Directory.CreateDirectory(folder);
        string final = Path.Combine(folder, NameOf(trainer.Step)), temporary = Path.Combine(folder, $"{Unfinished}{trainer.Step:D8}");
        if (Directory.Exists(temporary)) Directory.Delete(temporary, true);
        Directory.CreateDirectory(temporary);
        Write(trainer.Backend, Path.Combine(temporary, ModelFile), ModelTensors(trainer));
        Write(trainer.Backend, Path.Combine(temporary, OptimizerFile), trainer.Optimizer.State);
        CheckpointState.Write(temporary, trainer.Step, trainer.Skipped, trainer.Optimizer.Steps, ModelFile, OptimizerFile);
        Remove(final);
        Directory.Move(temporary, final);
        return final;
    }

    /// <summary>A checkpoint of step 0 that has a model alone, of tensors that come from elsewhere.</summary>
    internal static void Save(string folder, IEnumerable<StoredTensor> model)
    {
        var path = Path.Combine(folder, NameOf(0));
        Directory.CreateDirectory(path);
        SafetensorsWriter.Write(Path.Combine(path, ModelFile), Metadata, [.. model]);
        CheckpointState.Write(path, 0, 0, 0, ModelFile);
    }

    /// <summary>A checkpoint's model as it is stored.</summary>
    /// <exception cref="RunException">It is not the file that was written.</exception>
    internal static SafetensorsFile OpenModel(string path)
    {
        var state = CheckpointState.Read(path);
        var file = SafetensorsFile.Open(Path.Combine(path, ModelFile));
        try
        {
            state.Verify(path, ModelFile);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Deletes what crashes left: unfinished checkpoints, and folders without a state, which an earlier program may have been stopped in deleting; then all
    /// but the newest <paramref name="keep"/> checkpoints.
    /// </summary>
    public static void Tidy(string folder, int keep)
    {
        foreach (var path in Directory.GetDirectories(folder, Unfinished + "*")) Directory.Delete(path, true);
        foreach (var path in Named(folder).Where(p => !HasState(p))) Remove(path);
        foreach (var path in All(folder).SkipLast(keep)) Remove(path);
    }

    /// <summary>Takes a folder's name first: what is deleted halfway is not taken for a checkpoint.</summary>
    static void Remove(string path)
    {
        if (!Directory.Exists(path)) return;
        var gone = Path.Combine(Path.GetDirectoryName(path)!, $"{Unfinished}{Guid.NewGuid():N}");
        Directory.Move(path, gone);
        Directory.Delete(gone, true);
    }

    /// <summary>Checkpoints that have a state, the oldest first.</summary>
    static string[] All(string folder) => [.. Named(folder).Where(HasState)];

    /// <summary>Whether there is a checkpoint, whole or not.</summary>
    public static bool Any(string folder) => All(folder).Length > 0;

    static bool HasState(string path) => File.Exists(Path.Combine(path, CheckpointState.FileName));

    static string[] Named(string folder) => !Directory.Exists(folder) ? [] :
        [.. Directory.GetDirectories(folder, Prefix + "*").Where(p => StepOf(p) is not null).OrderBy(StepOf).ThenBy(p => p, StringComparer.Ordinal)];

    /// <summary>The step that a checkpoint is named after; null where it has another name.</summary>
    internal static long? StepOf(string checkpoint) =>
        Path.GetFileName(checkpoint) is var name && name.StartsWith(Prefix, StringComparison.Ordinal)
        && long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : null;

    /// <summary>
    /// Loads the newest checkpoint that is whole. Newer ones that are not are passed over, and said in <paramref name="note"/>; the first reason is thrown
    /// where none is whole.
    /// </summary>
    /// <param name="load">Loads one checkpoint, or throws and leaves all as it was.</param>
    /// <param name="isWriter">Whether damaged ones are put aside, so that they count no longer.</param>
    /// <returns>Its path; null where there is no checkpoint.</returns>
    public static string? LoadNewest(string folder, Action<string> load, bool isWriter, out string? note)
    {
        note = null;
        RunException? first = null;
        List<string> damaged = [];
        foreach (var path in All(folder).Reverse())
        {
            try
            {
                load(path);
            }
            catch (Exception e) when (e is InvalidFileException or RunException or IOException or UnauthorizedAccessException)
            {
                if (!Directory.Exists(path)) continue;      // whoever trains has just deleted it
                first ??= e as RunException ?? new RunException(e.Message);
                damaged.Add(path);
                continue;
            }
            if (damaged.Count == 0) return path;
            var names = string.Join(", ", damaged.Select(Path.GetFileName));
            note = $"{folder}: {names} cannot be used ({first!.Message}); {Path.GetFileName(path)} is the newest whole checkpoint and is taken";
            if (isWriter) damaged.ForEach(PutAside);
            return path;
        }
        return first is null ? null : throw first;
    }

    static void PutAside(string path)
    {
        var aside = Path.Combine(Path.GetDirectoryName(path)!, $"{Damaged}{Path.GetFileName(path)}");
        Remove(aside);
        Directory.Move(path, aside);
    }

    /// <summary>Puts a checkpoint's numbers into a trainer of the same configuration. On error the trainer is left as it was.</summary>
    public static void Load(Trainer trainer, string path)
    {
        if (trainer.StepsAhead > 0) throw new InvalidOperationException("nothing is loaded over steps that nobody waited for; settle them first");
        var state = CheckpointState.Read(path);
        var optimizerPath = Path.Combine(path, OptimizerFile);
        if (!File.Exists(optimizerPath))
        {
            var missing = $"{optimizerPath}: is missing, and training cannot go on without the optimizer's state";
            throw new RunException($"{missing}; put it back, or evaluate and generate with the model alone");
        }
        using var model = new CheckpointFile(Path.Combine(path, ModelFile));
        using var optimizer = new CheckpointFile(optimizerPath);
        var (ofModel, ofOptimizer) = (Parts(trainer), Parts(trainer.Optimizer.State));
        model.Check(ofModel.Keys);
        optimizer.Check(ofOptimizer.Keys);
        state.Verify(path, ModelFile);
        state.Verify(path, OptimizerFile);
        Fill(trainer.Backend, model, ofModel);
        Fill(trainer.Backend, optimizer, ofOptimizer);
        (trainer.Step, trainer.Skipped, trainer.Optimizer.Steps) = (state.Step, state.Skipped, state.OptimizerSteps);
    }

    /// <summary>Matrices on the host. A storage is read once, however many matrices lie in it.</summary>
    sealed class HostCopies(IBackend backend)
    {
        readonly Dictionary<Storage, float[]> _storages = [];

        public ReadOnlyMemory<float> this[Matrix matrix]
        {
            get
            {
                if (!matrix.IsContiguous || matrix.Storage.Length > Array.MaxLength) return backend.ToArray(matrix);
                if (!_storages.TryGetValue(matrix.Storage, out var all))
                    backend.Read(matrix.Storage, 0, _storages[matrix.Storage] = all = new float[matrix.Storage.Length]);
                return all.AsMemory((int)matrix.Offset, (int)matrix.Count);
            }
        }
    }

    /// <summary>Puts a checkpoint's model, without optimizer state, into a predictor of the same configuration. On error it is left as it was.</summary>
    public static void LoadModel(Predictor predictor, string path)
    {
        var state = CheckpointState.Read(path);
        using var model = new CheckpointFile(Path.Combine(path, ModelFile));
        var parts = Parts(predictor);
        model.Check(parts.Keys);
        state.Verify(path, ModelFile);
        Fill(predictor.Backend, model, parts);
        predictor.Step = state.Step;
    }

    /// <summary>A checkpoint's model to be evaluated, its parameters in the types that they are stored in.</summary>
    /// <exception cref="ConfigurationException">It needs more memory than there is.</exception>
    public static Predictor OpenModel(IBackend backend, IModelConfig config, string path)
    {
        var (state, file) = (CheckpointState.Read(path), Path.Combine(path, ModelFile));
        using var model = new CheckpointFile(file);
        MemoryEstimate.RequireModel(config.Title, new FileInfo(file).Length, backend);
        var predictor = new Predictor(backend, config, model, asStored: true) { Step = state.Step };
        try
        {
            model.CheckOthers();
            state.Verify(path, ModelFile);
            _ = predictor.Tape.Parameters.Values;       // while the file is open
            return predictor;
        }
        catch
        {
            predictor.Dispose();
            throw;
        }
    }

    /// <summary>Puts those matrices of a checkpoint into a predictor that its model has too, by name and shape.</summary>
    /// <returns>Their names.</returns>
    public static IReadOnlyList<string> LoadCommon(Predictor predictor, string path)
    {
        CheckpointState.Read(path).Verify(path, ModelFile);
        var file = Path.Combine(path, ModelFile);
        using var open = SafetensorsFile.Open(file);
        var shapes = open.Tensors.ToDictionary(t => t.Name, t => t.Shape);
        bool Has(WeightPart part, Matrix its) => shapes.TryGetValue(part.Name, out var shape) && shape.SequenceEqual([its.Rows, its.Columns]);
        var common = Parts(predictor).Where(p => Has(p.Key, p.Value)).ToArray();
        var weights = new FileWeights(open, file);
        foreach (var (part, _) in common) weights.Declare(part);
        foreach (var (part, place) in common) weights.Fill(part, Starts.Zeros, predictor.Backend, place);
        return [.. common.Select(p => p.Key.Name)];
    }

    static void Write(IBackend backend, string path, IEnumerable<(string Name, Matrix Value)> tensors)
    {
        var host = new HostCopies(backend);
        SafetensorsWriter.Write(path, Metadata, tensors.Select(t => (t.Name, new long[] { t.Value.Rows, t.Value.Columns }, host[t.Value])));
    }

    static Dictionary<string, string> Metadata => new() { ["format"] = $"sparse-experts/{CheckpointState.CurrentFormat}" };

    static Dictionary<WeightPart, Matrix> Parts(Predictor predictor)
    {
        var parts = Parts(predictor.Model.State.Select(s => (s.Name, s.Value)));
        foreach (var p in predictor.Model.Parameters) parts.Add(new(p.Name, p.Stack, p.Rows / p.Stack, p.Columns), p.Value);
        return parts;
    }

    static Dictionary<WeightPart, Matrix> Parts(IEnumerable<(string Name, Matrix Value)> state) =>
        state.ToDictionary(t => new WeightPart(t.Name, 1, t.Value.Rows, t.Value.Columns), t => t.Value);

    static void Fill(IBackend backend, CheckpointFile file, Dictionary<WeightPart, Matrix> parts)
    {
        foreach (var (part, place) in parts) file.Fill(part, Starts.Zeros, backend, place);
    }

    static IEnumerable<(string Name, Matrix Value)> ModelTensors(Predictor predictor) =>
        predictor.Model.Parameters.Select(p => (p.Name, p.Value)).Concat(predictor.Model.State.Select(s => (s.Name, s.Value)));
}
