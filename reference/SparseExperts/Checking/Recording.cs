using SparseExperts.Formats;
using SparseExperts.Oracle;

namespace SparseExperts.Checking;

/// <summary>What a library recorded of a whole model: named tensors of a safetensors file, each in the format that it was computed in.</summary>
public sealed class Recording
{
    readonly Dictionary<string, CaseTensor> _tensors = new(StringComparer.Ordinal);
    readonly HashSet<string> _asked;

    Recording(string path, string? producer, HashSet<string> asked) => (Path, Producer, _asked) = (path, producer, asked);

    public string Path { get; }

    /// <summary>What made it: <c>transformers 5.17.0, torch 2.11.0, MixtralForCausalLM</c>; null where it does not say.</summary>
    public string? Producer { get; }

    public IEnumerable<string> Names => _tensors.Keys;

    /// <summary>Names of tensors that nobody has asked for, of this recording or of one that was made of it.</summary>
    public IEnumerable<string> NotAsked => _tensors.Keys.Where(name => !_asked.Contains(name)).Order(StringComparer.Ordinal);

    /// <exception cref="InvalidFileException">It cannot be read.</exception>
    public static Recording Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var tensors = file.Tensors.Select(t => new CaseTensor(t.Name, t.DType, t.Shape, file.ReadDoubles(t.Name)));
        return Of(path, tensors, file.Metadata.GetValueOrDefault("producer"));
    }

    /// <summary>A recording in memory.</summary>
    /// <param name="path">For messages.</param>
    public static Recording Of(string path, IEnumerable<CaseTensor> tensors, string? producer = null) =>
        Of(path, tensors, producer, new(StringComparer.Ordinal));

    static Recording Of(string path, IEnumerable<CaseTensor> tensors, string? producer, HashSet<string> asked)
    {
        var recording = new Recording(path, producer, asked);
        foreach (var tensor in tensors) recording._tensors[tensor.Name] = tensor;
        return recording;
    }

    /// <summary>The same with tensors added, or put in the place of those of the same name.</summary>
    public Recording With(params IEnumerable<CaseTensor> tensors) => Of(Path, _tensors.Values.Concat(tensors), Producer, _asked);

    /// <summary>The same without a tensor.</summary>
    internal Recording Without(string name) => Of(Path, _tensors.Values.Where(t => t.Name != name), Producer, _asked);

    /// <summary>The same under other names, where there are none of these yet.</summary>
    internal Recording Renamed(Func<string, string> name)
    {
        return Of(Path, _tensors.Values.Select(Named), Producer, _asked);

        CaseTensor Named(CaseTensor tensor)
        {
            if (name(tensor.Name) is var other && Has(other)) return tensor;
            _asked.Add(tensor.Name);
            return tensor with { Name = other };
        }
    }

    /// <summary>The same with the tensors of another one added, whose path and producer count.</summary>
    internal Recording Under(Recording other) => Of(other.Path, _tensors.Values.Concat(other._tensors.Values), other.Producer, other._asked);

    public bool Has(string name) => _tensors.ContainsKey(name);

    public CaseTensor? Find(string name)
    {
        if (!_tensors.TryGetValue(name, out var tensor)) return null;
        _asked.Add(name);
        return tensor;
    }

    /// <exception cref="InvalidFileException">It is not there.</exception>
    public CaseTensor Get(string name) => Find(name) ?? throw new InvalidFileException($"{Path}: no tensor '{name}'; record it");

    /// <summary>Whole numbers, or none where the file has no such tensor.</summary>
    public int[] Integers(string name) => Find(name)?.Integers ?? [];

    /// <summary>The first of these names that was recorded.</summary>
    public CaseTensor? First(params IReadOnlyList<string> names) => names.Select(Find).FirstOrDefault(t => t is not null);

    /// <exception cref="InvalidFileException">A tensor has not so many numbers.</exception>
    public CaseTensor Sized(CaseTensor tensor, long count) => tensor.Values.Length == count ? tensor
        : throw new InvalidFileException($"{Path}: {tensor.Name} is [{string.Join(", ", tensor.Shape)}], {count} numbers are needed; record it of this model");
}
