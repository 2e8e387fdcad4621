using System.Text.Json;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// A checkpoint is a folder <c>step-00000100</c> with <c>model.safetensors</c> (parameters, what routers carry), <c>optimizer.safetensors</c> (what only
/// training on needs) and <c>state.json</c> (counters).
/// It is written under another name and renamed when complete, so a folder with the right name is whole. Nothing in it depends on time,
/// machine or threads: equal training gives equal bytes.
/// </summary>
public static class Checkpoint
{
    const string Prefix = "step-", Unfinished = ".unfinished-", ModelFile = "model.safetensors", OptimizerFile = "optimizer.safetensors", StateFile = "state.json";

    const int Format = 2;

    sealed record State(int Format, long Step, long Skipped, long OptimizerSteps);

    /// <summary>Writes the trainer's state below <paramref name="folder"/> and returns the checkpoint's path.</summary>
    public static string Save(Trainer trainer, string folder)
    {
        Directory.CreateDirectory(folder);
        string final = Path.Combine(folder, $"{Prefix}{trainer.Step:D8}"), temporary = Path.Combine(folder, $"{Unfinished}{trainer.Step:D8}");
        if (Directory.Exists(temporary)) Directory.Delete(temporary, true);
        Directory.CreateDirectory(temporary);
        Write(trainer.Backend, Path.Combine(temporary, ModelFile), ModelTensors(trainer));
        Write(trainer.Backend, Path.Combine(temporary, OptimizerFile), trainer.Optimizer.State);
        var state = new State(Format, trainer.Step, trainer.Skipped, trainer.Optimizer.Steps);
        AtomicFile.WriteText(Path.Combine(temporary, StateFile), JsonSerializer.Serialize(state, RunConfig.Json) + "\n");
        if (Directory.Exists(final)) Directory.Delete(final, true);
        Directory.Move(temporary, final);
        return final;
    }

    /// <summary>The newest whole checkpoint below <paramref name="folder"/>, or null.</summary>
    public static string? Latest(string folder) => All(folder).LastOrDefault();

    /// <summary>Deletes what crashes left unfinished, and all but the newest <paramref name="keep"/> checkpoints.</summary>
    public static void Tidy(string folder, int keep)
    {
        foreach (var path in Directory.GetDirectories(folder, Unfinished + "*")) Directory.Delete(path, true);
        foreach (var path in All(folder).SkipLast(keep)) Directory.Delete(path, true);
    }

    static IEnumerable<string> All(string folder) => !Directory.Exists(folder) ? [] :
        from path in Directory.GetDirectories(folder, Prefix + "*")
        where long.TryParse(Path.GetFileName(path)[Prefix.Length..], out _) && File.Exists(Path.Combine(path, StateFile))
        orderby long.Parse(Path.GetFileName(path)[Prefix.Length..])
        select path;

    /// <summary>Puts a checkpoint's numbers into a trainer of the same configuration. On error the trainer is left as it was.</summary>
    public static void Load(Trainer trainer, string path)
    {
        var state = ReadState(path);
        var optimizerPath = Path.Combine(path, OptimizerFile);
        if (!File.Exists(optimizerPath))
            throw new RunException($"{optimizerPath}: is missing, and training cannot go on without the optimizer's state; put it back, or evaluate and generate with the model alone");
        using var model = new CheckpointFile(Path.Combine(path, ModelFile));
        using var optimizer = new CheckpointFile(optimizerPath);
        var (ofModel, ofOptimizer) = (Parts(trainer), Parts(trainer.Optimizer.State));
        model.Check(ofModel.Keys);
        optimizer.Check(ofOptimizer.Keys);
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
        var state = ReadState(path);
        using var model = new CheckpointFile(Path.Combine(path, ModelFile));
        var parts = Parts(predictor);
        model.Check(parts.Keys);
        Fill(predictor.Backend, model, parts);
        predictor.Step = state.Step;
    }

    static void Write(IBackend backend, string path, IEnumerable<(string Name, Matrix Value)> tensors)
    {
        var host = new HostCopies(backend);
        SafetensorsWriter.Write(path, new Dictionary<string, string> { ["format"] = $"sparse-experts/{Format}" },
            tensors.Select(t => (t.Name, new long[] { t.Value.Rows, t.Value.Columns }, host[t.Value])));
    }

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

    static State ReadState(string checkpoint)
    {
        var path = Path.Combine(checkpoint, StateFile);
        try
        {
            var state = JsonSerializer.Deserialize<State>(File.ReadAllText(path), RunConfig.Json);
            if (state is { Format: not Format }) throw new JsonException($"format {state.Format}, this program reads format {Format}");
            return state is { Step: >= 0, Skipped: >= 0, OptimizerSteps: >= 0 } ? state : throw new JsonException("its numbers make no sense");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new RunException($"{path}: not a usable checkpoint state ({e.Message.ReplaceLineEndings(" ")}); delete this checkpoint to go on from the one before");
        }
    }

    static IEnumerable<(string Name, Matrix Value)> ModelTensors(Predictor predictor) =>
        predictor.Model.Parameters.Select(p => (p.Name, p.Value)).Concat(predictor.Model.State.Select(s => (s.Name, s.Value)));
}
