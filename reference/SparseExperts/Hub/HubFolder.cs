using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SparseExperts.Formats;

namespace SparseExperts.Hub;

/// <summary>
/// A checkpoint of the hub: <c>config.json</c> and <c>model.safetensors</c>, or shards with <c>model.safetensors.index.json</c>. Opened, all tensors are
/// there, with the shapes that the configuration asks for.
/// </summary>
public sealed partial class HubFolder : IDisposable
{
    internal const string SingleFile = "model.safetensors", IndexFile = "model.safetensors.index.json";

    readonly Dictionary<string, (HubStored Tensor, string FileName)> _stored = new(StringComparer.Ordinal);
    readonly List<(string Name, SafetensorsFile File)> _files = [];

    HubFolder(string path)
    {
        Path = path;
        Config = HubConfig.Load(path);
        try
        {
            Open();
            JoinBlocks();
            Tensors = HubTensors.Of(Config, _stored.ToDictionary(s => s.Key, s => s.Value.Tensor.Entry.Shape));
            Check();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }
    public HubConfig Config { get; }
    public HubTensors Tensors { get; }

    /// <summary>The format of its first matrix, the embedding: the library computes in it.</summary>
    public NumberFormat WeightFormat => NumberFormats.OfDType(Stored(Tensors.All.First().Name).Entry.DType)!.Value;

    /// <summary>The configuration with the rules of another version of transformers; sizes and tensors are those of the file.</summary>
    /// <param name="version">As <c>transformers_version</c> names it.</param>
    internal HubConfig ConfigOf(string version)
    {
        var json = HubConfig.ReadJson(Path);
        json["transformers_version"] = version;
        var other = HubConfig.Parse(json.ToJsonString(), In("config.json"));
        return Config with { Version = other.Version, Dialect = other.Dialect };
    }

    /// <summary>Files of weights, by name and in order.</summary>
    public IReadOnlyList<(string Name, SafetensorsFile File)> Files => _files;

    /// <summary>Stored tensors that the library does not read either: of parts for other inputs, of the prediction of further tokens.</summary>
    public IReadOnlyList<string> Unread { get; private set; } = [];

    /// <summary>The index file's name where there are shards; else null.</summary>
    public string? Index { get; private set; }

    /// <exception cref="InvalidFileException">It is no checkpoint that can be read; one line.</exception>
    public static HubFolder Load(string path)
    {
        if (File.Exists(path)) throw new InvalidFileException($"{path}: is a file; name the folder of a checkpoint");
        if (!Directory.Exists(path)) throw new InvalidFileException($"{path}: no such folder; name the folder of a checkpoint");
        return new(path);
    }

    /// <summary>A stored tensor by its name.</summary>
    public HubStored Stored(string name) => _stored.TryGetValue(name, out var stored)
        ? stored.Tensor
        : throw new InvalidFileException($"{Path}: there is no tensor '{name}'; take another copy");

    void Open()
    {
        if (File.Exists(In(SingleFile)))
        {
            Add(SingleFile, _ => true);
            return;
        }
        if (!File.Exists(In(IndexFile)))
        {
            bool Has(string pattern) => Directory.EnumerateFiles(Path, pattern).Any();
            throw new InvalidFileException($"{Path}: neither {SingleFile} nor {IndexFile}; "
                + (Has("model-*-of-*.safetensors") ? "there are shards, so take the index as well"
                : Has("*.bin") || Has("*.pt") ? "its weights are pickled, which this program does not run: convert them to safetensors"
                : "name the folder of a checkpoint"));
        }
        Index = IndexFile;
        var map = WeightMap();
        foreach (var file in map.Values.Distinct().Order(StringComparer.Ordinal))
        {
            if (!File.Exists(In(file)))
                throw new InvalidFileException($"{In(file)}: is missing, and {IndexFile} says that tensors are in it; take the shard as well");
            Add(file, name => map.TryGetValue(name, out var place) && place == file);
        }
        if (map.Keys.FirstOrDefault(name => !_stored.ContainsKey(name)) is { } lost)
            throw new InvalidFileException($"{In(map[lost])}: has no tensor '{lost}', and {IndexFile} says that it has; take another copy of the shard");
    }

    Dictionary<string, string> WeightMap()
    {
        var path = In(IndexFile);
        JsonNode? json;
        try
        {
            json = JsonNode.Parse(RegularFiles.ReadAllText(path), documentOptions: new() { AllowDuplicateProperties = false });
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            var why = e is JsonException bad ? JsonTrouble.Why(bad) : FileTrouble.Why(e);
            throw new InvalidFileException($"{path}: cannot be read ({why}); take another copy");
        }
        if (json is not JsonObject { } index || index["weight_map"] is not JsonObject { Count: > 0 } map)
            throw new InvalidFileException($"{path}: has no weight_map of tensors and files; take another copy");
        return map.ToDictionary(p => p.Key, p => p.Value is JsonValue value && value.TryGetValue<string>(out var file) && PlainName().IsMatch(file)
            ? file
            : throw new InvalidFileException($"{path}: '{p.Key}' is in no file of this folder; take another copy"));
    }

    void Add(string name, Func<string, bool> expected)
    {
        var file = SafetensorsFile.Open(In(name));
        _files.Add((name, file));
        foreach (var entry in file.Tensors)
        {
            if (!expected(entry.Name))
                throw new InvalidFileException($"{In(name)}: tensor '{entry.Name}' is not in {IndexFile} as one of this file; take another copy");
            _stored.Add(entry.Name, (new PlainStored(file, entry), name));
        }
    }

    /// <summary>Blocks and scales are one matrix, under the name of the blocks.</summary>
    void JoinBlocks()
    {
        const string blocks = "_blocks", scales = "_scales";
        foreach (var (name, stored) in _stored.Where(s => s.Key.EndsWith(blocks, StringComparison.Ordinal)).ToArray())
        {
            var other = name[..^blocks.Length] + scales;
            if (!_stored.TryGetValue(other, out var scale))
                throw new InvalidFileException($"{In(stored.FileName)}: tensor '{name}' without '{other}'; take another copy");
            if (!Mxfp4Stored.Fits(stored.Tensor.Entry, scale.Tensor.Entry))
                throw new InvalidFileException($"{In(stored.FileName)}: '{name}' and '{other}' are no matrix in MXFP4; take another copy");
            SafetensorsFile FileOf(string fileName) => _files.First(f => f.Name == fileName).File;
            var matrix = new Mxfp4Stored(FileOf(stored.FileName), stored.Tensor.Entry, FileOf(scale.FileName), scale.Tensor.Entry);
            _stored[name] = (matrix, stored.FileName);
            _stored.Remove(other);
            IsQuantised = true;
        }
    }

    /// <summary>Experts are stored in MXFP4.</summary>
    public bool IsQuantised { get; private set; }

    string In(string file) => System.IO.Path.Combine(Path, file);

    /// <summary>All tensors of the table are there with their shapes, as numbers that are read, and no other ones that count.</summary>
    void Check()
    {
        foreach (var tensor in Tensors.All)
        {
            if (!_stored.TryGetValue(tensor.Name, out var stored))
                throw new InvalidFileException($"{Path}: no tensor '{tensor.Name}', which {Config.ModelType} has by its config.json; take another copy");
            var (entry, where) = (stored.Tensor.Entry, $"{In(stored.FileName)}: tensor '{tensor.Name}'");
            string Shaped(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
            if (!entry.Shape.SequenceEqual(tensor.Shape))
                throw new InvalidFileException(
                    $"{where} is {Shaped(entry.Shape)}, config.json asks for {Shaped(tensor.Shape)}; take the files of one checkpoint");
            if (entry.DType is not ("F32" or "BF16" or "F16"))
                throw new InvalidFileException($"{where} is {entry.DType}, which is not read; convert the checkpoint to F32, BF16 or F16");
        }
        foreach (var (name, (copy, fileName)) in _stored)
            if (Tensors.CopiedBy(name) is { } original && !SameBytes(copy, Stored(original.Name)))
                throw new InvalidFileException($"{In(fileName)}: tensor '{name}' is not '{original.Name}', which it repeats by config.json; "
                    + "take the files of one checkpoint");
        Unread = [.. _stored.Keys.Where(name => Tensors.Find(name) is null && Tensors.CopiedBy(name) is null).Order(StringComparer.Ordinal)];
        if (Unread.FirstOrDefault(name => !IsUnreadByTheLibrary(name)) is { } other)
            throw new InvalidFileException($"{In(_stored[other].FileName)}: tensor '{other}' is none of {Config.ModelType} by its config.json; "
                + "take the files of one checkpoint");
    }

    static bool SameBytes(HubStored a, HubStored b)
    {
        if (a.Entry.DType != b.Entry.DType || !a.Entry.Shape.SequenceEqual(b.Entry.Shape)) return false;
        int size = SafetensorsHeader.SizeOf(a.Entry.DType), piece = (1 << 16) / size;
        byte[] left = new byte[piece * size], right = new byte[piece * size];
        for (long at = 0; at < a.Entry.Count; at += piece)
        {
            var bytes = (int)Math.Min(piece, a.Entry.Count - at) * size;
            a.ReadBytes(at, left.AsSpan(0, bytes));
            b.ReadBytes(at, right.AsSpan(0, bytes));
            if (!left.AsSpan(0, bytes).SequenceEqual(right.AsSpan(0, bytes))) return false;
        }
        return true;
    }

    bool IsUnreadByTheLibrary(string name) => HubFamilies.IsUnread(Config, Tensors.Prefix, name);

    [GeneratedRegex(@"^[\w.-]+\.safetensors$")]
    private static partial Regex PlainName();

    public void Dispose()
    {
        foreach (var (_, file) in _files) file.Dispose();
    }
}
