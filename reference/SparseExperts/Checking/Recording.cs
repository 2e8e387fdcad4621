using SparseExperts.Formats;
using SparseExperts.Oracle;

namespace SparseExperts.Checking;

/// <summary>What a library recorded of a whole model: named tensors of a safetensors file, each in the format that it was computed in.</summary>
public sealed class Recording
{
    readonly Dictionary<string, CaseTensor> _tensors = new(StringComparer.Ordinal);

    Recording(string path) => Path = path;

    public string Path { get; }
    public IEnumerable<string> Names => _tensors.Keys;

    /// <exception cref="InvalidFileException">It cannot be read.</exception>
    public static Recording Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return Of(path, file.Tensors.Select(t => new CaseTensor(t.Name, t.DType, t.Shape, file.ReadDoubles(t.Name))));
    }

    /// <summary>A recording in memory.</summary>
    /// <param name="path">For messages.</param>
    public static Recording Of(string path, IEnumerable<CaseTensor> tensors)
    {
        var recording = new Recording(path);
        foreach (var tensor in tensors) recording._tensors[tensor.Name] = tensor;
        return recording;
    }

    /// <summary>The same with tensors added, or put in the place of those of the same name.</summary>
    public Recording With(params IEnumerable<CaseTensor> tensors) => Of(Path, _tensors.Values.Concat(tensors));

    /// <summary>The same under another path.</summary>
    internal Recording At(string path) => Of(path, _tensors.Values);

    public bool Has(string name) => _tensors.ContainsKey(name);
    public CaseTensor? Find(string name) => _tensors.GetValueOrDefault(name);

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
