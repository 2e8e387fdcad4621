using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Models;

namespace SparseExperts.Runs;

/// <summary>What an export wrote.</summary>
/// <param name="Checkpoint">The run's checkpoint that it has.</param>
/// <param name="Note">What was passed over to find it; null where nothing was.</param>
public sealed record Exported(string Checkpoint, int Tensors, IReadOnlyList<string> Files, string? Note);

/// <summary>
/// From a run to a checkpoint of the hub. A run that was imported has the names, order, formats and files that it came from; numbers that were not trained
/// have their bits. Another one is written as the library would, float32, in one file. An untied Switch that was trained has its embedding under all three
/// names: both versions of the library begin with other embeddings where a stack's own is missing.
/// </summary>
public static class HubExport
{
    /// <exception cref="RunException">It is no run, its family has no form on the hub, or there is something at <paramref name="folder"/>.</exception>
    public static Exported Run(string run, string folder)
    {
        TrainingRun.RefuseToClobber(folder, force: null);
        var config = TrainingRun.ReadConfig(run);
        SafetensorsFile? opened = null;
        var taken = Checkpoint.LoadNewest(TrainingRun.CheckpointFolder(run), path => opened = Checkpoint.OpenModel(path), isWriter: false, out var note)
            ?? throw TrainingRun.NoCheckpoint(run, config);
        using var own = opened!;
        var written = !HubSource.Exists(run) ? Anew(run, config, folder, own)
            : HubSource.IsQuantised(run) ? Anew(Unquantised(run), folder, own, SmallFiles(run))
            : AsItCame(run, folder, own, isTrained: Path.GetFileName(taken) != Checkpoint.NameOf(0));
        return written with { Checkpoint = taken, Note = note };
    }

    static Exported AsItCame(string run, string folder, SafetensorsFile own, bool isTrained)
    {
        var headers = HubSource.Headers(run);
        var entries = headers.SelectMany(h => h.Header.Tensors).ToArray();
        var tensors = HubTensors.Of(HubConfig.Load(HubSource.FolderOf(run)), entries.ToDictionary(e => e.Name, e => e.Shape));
        Check(tensors, own, run);
        var named = entries.Select(e => e.Name).ToHashSet();
        if (tensors.All.FirstOrDefault(t => !named.Contains(t.Name)) is { } lost)
            throw new RunException($"{HubSource.FolderOf(run)}: no header of a file of weights has '{lost.Name}'; import the checkpoint again");
        using var unread = HubSource.Unread(run);
        StoredTensor Tensor(TensorEntry entry)
        {
            if ((tensors.Find(entry.Name) ?? tensors.CopiedBy(entry.Name)) is { } tensor)
                return HubRepack.ToHub(tensors, tensor, entry.DType, own) with { Name = entry.Name };
            return unread?.Tensors.FirstOrDefault(t => t.Name == entry.Name) is { } kept ? HubRepack.AsIs(unread, kept)
                : throw new RunException($"{run}: has no tensor '{entry.Name}' of the checkpoint that it came from; import it again");
        }
        var copies = isTrained ? Copies(tensors).Where(c => entries.All(e => e.Name != c.Name)).ToArray() : [];
        NewFolder.Write(folder, place =>
        {
            foreach (var file in HubSource.SmallFiles(HubSource.FolderOf(run))) HubSource.Copy(file, Path.Combine(place, Path.GetFileName(file)));
            foreach (var (name, header) in headers)
            {
                StoredTensor[] stored = [.. header.Tensors.Select(Tensor)];
                StoredTensor[] more = [.. copies.SelectMany(c => stored.Where(t => t.Name == c.Tensor.Name).Select(t => t with { Name = c.Name }))];
                if (more.Length == 0) SafetensorsWriter.Write(Path.Combine(place, name), header.Bytes, stored);
                else SafetensorsWriter.Write(Path.Combine(place, name), header.Metadata, [.. stored, .. more]);
                if (more.Length > 0) Index(Path.Combine(place, HubFolder.IndexFile), name, more);
            }
        });
        return new("", entries.Length + copies.Length, [.. headers.Select(h => h.Name)], null);
    }

    /// <summary>Names under which the library looks for the embedding of an untied Switch as well, which its two stacks share.</summary>
    static IEnumerable<(string Name, HubTensor Tensor)> Copies(HubTensors tensors) => tensors.Config is not HubSwitch { Tied: false } ? []
        : ((string[])["encoder", "decoder"]).Select(s => $"{s}.embed_tokens.weight").Select(name => (name, tensors.CopiedBy(name)!));

    /// <summary>Further tensors of a shard are in the index, where there is one.</summary>
    static void Index(string path, string file, StoredTensor[] more)
    {
        if (!File.Exists(path)) return;
        var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        foreach (var tensor in more) json["weight_map"]![tensor.Name] = file;
        if (json["metadata"]?["total_size"] is JsonValue size && size.TryGetValue<long>(out var bytes))
            json["metadata"]!["total_size"] = bytes + more.Sum(t => t.Shape.Aggregate((long)SafetensorsHeader.SizeOf(t.DType), (a, b) => a * b));
        AtomicFile.WriteText(path, json.ToJsonString(RunConfig.Json) + "\n");
    }

    /// <summary>What an imported run's checkpoint had beside its weights.</summary>
    static IEnumerable<(string File, string Name)> SmallFiles(string run) =>
        HubSource.SmallFiles(HubSource.FolderOf(run)).Select(file => (file, Path.GetFileName(file)));

    /// <summary>The run's tokenizer under the name that the library looks for.</summary>
    static IEnumerable<(string File, string Name)> Tokenizer(string run, RunConfig config, HubCounterpart counterpart)
    {
        if (config.Tokenizer is not { } kept) return [];
        var name = Path.GetExtension(kept.File) == ".model" ? counterpart.SentencePiece : null;
        return [(RunTokenizer.Require(run, kept), name ?? Path.GetFileName(kept.File))];
    }

    /// <summary>What the library reads a model of this program as.</summary>
    static HubCounterpart CounterpartOf(IModelConfig model) => model.OnHub()
        ?? throw new RunException($"a model of the family {model.Family} has no form on the hub; export a run of another family");

    /// <summary>A run that began here.</summary>
    static Exported Anew(string run, RunConfig config, string folder, SafetensorsFile own)
    {
        if (config.IsImported)
            throw new RunException($"{HubSource.FolderOf(run)}: is missing or not whole, which says how the checkpoint was stored; import it again");
        var counterpart = CounterpartOf(config.Model);
        return Anew(counterpart.Config, folder, own, Tokenizer(run, config, counterpart));
    }

    /// <summary>Experts that came in four bits are written in sixteen; the configuration says nothing of blocks then.</summary>
    static JsonObject Unquantised(string run)
    {
        var json = HubConfig.ReadJson(HubSource.FolderOf(run));
        json.Remove("quantization_config");
        return json;
    }

    /// <summary>One file, the hub's names, the run's own formats.</summary>
    /// <param name="beside">Files that are copied, but for the configuration.</param>
    static Exported Anew(JsonObject json, string folder, SafetensorsFile own, IEnumerable<(string File, string Name)> beside)
    {
        const string configFile = "config.json";
        var tensors = HubTensors.Of(HubConfig.Parse(json.ToJsonString(), "the model's configuration"));
        Check(tensors, own, "the run's checkpoint");
        var formats = own.Tensors.ToDictionary(t => t.Name, t => t.DType);
        var stands = formats[tensors.All.First().Pieces[0].Own];
        var dtype = NumberFormats.OfDType(stands) is { } format and not NumberFormat.Float64
            ? format.Word()
            : throw new RunException($"the run's checkpoint is {stands}; take its own checkpoint");
        (json["dtype"], json["torch_dtype"]) = (dtype, dtype);
        (string Name, HubTensor Tensor)[] stored = [.. tensors.All.Select(t => (t.Name, Tensor: t)), .. Copies(tensors)];
        NewFolder.Write(folder, place =>
        {
            foreach (var (file, name) in beside.Where(f => f.Name is not (configFile or HubFolder.IndexFile))) HubSource.Copy(file, Path.Combine(place, name));
            AtomicFile.WriteText(Path.Combine(place, configFile), json.ToJsonString(RunConfig.Json) + "\n");
            SafetensorsWriter.Write(Path.Combine(place, HubFolder.SingleFile), new Dictionary<string, string> { ["format"] = "pt" },
            [
                .. stored.OrderBy(t => t.Name, StringComparer.Ordinal)
                    .Select(t => HubRepack.ToHub(tensors, t.Tensor, formats[t.Tensor.Pieces[0].Own], own) with { Name = t.Name }),
            ]);
        });
        return new("", stored.Length, [HubFolder.SingleFile], null);
    }

    /// <summary>The run's checkpoint has all matrices of the table, and no other.</summary>
    static void Check(HubTensors tensors, SafetensorsFile own, string where)
    {
        foreach (var matrix in tensors.Matrices.Values)
            if (own.Tensors.FirstOrDefault(t => t.Name == matrix.Path)?.Shape.SequenceEqual(matrix.Shape) != true)
                throw new RunException($"{where}: has no '{matrix.Path}' of [{string.Join(", ", matrix.Shape)}]; take the run's own checkpoint and source");
        if (own.Tensors.FirstOrDefault(t => !tensors.Matrices.ContainsKey(t.Name)) is { } other)
            throw new RunException($"{where}: '{other.Name}' has no tensor on the hub; the library's model has no such part");
    }
}
