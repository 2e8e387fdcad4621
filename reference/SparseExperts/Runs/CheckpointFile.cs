using SparseExperts.Formats;
using SparseExperts.Layers;

namespace SparseExperts.Runs;

/// <summary>
/// One file of a checkpoint as a source of weights. What routers carry was once one matrix <c>router_state</c> [1, E + 2] a layer: E biases, the
/// coefficient, the baseline; it is still read.
/// </summary>
sealed class CheckpointFile : IWeightSource, IDisposable
{
    const string Packed = "router_state";

    readonly string _path;
    readonly SafetensorsFile _file;
    readonly FileWeights _weights;
    readonly HashSet<string> _packed = [];

    public CheckpointFile(string path)
    {
        (_path, _file) = (path, SafetensorsFile.Open(path));
        _weights = new(_file, path);
    }

    /// <summary>The file has these matrices and no other.</summary>
    public void Check(IEnumerable<WeightPart> parts)
    {
        foreach (var part in parts) Declare(part);
        CheckOthers();
    }

    /// <summary>The file has no matrix that nobody declared.</summary>
    public void CheckOthers()
    {
        if (_weights.Others.FirstOrDefault(name => !_packed.Contains(name)) is { } extra)
            throw new RunException($"{_path}: tensor '{extra}' is none of this model's; take the run's own checkpoint");
    }

    public void Declare(WeightPart part)
    {
        if (Earlier(part) is { } earlier) _packed.Add(earlier.Name);
        else _weights.Declare(part);
    }

    public ElementType TypeOf(WeightPart part) => Earlier(part) is null ? _weights.TypeOf(part) : ElementType.Real;

    public void Fill(WeightPart part, Start start, IBackend backend, Matrix to)
    {
        if (Earlier(part) is { } earlier) backend.Write(to, _file.ReadFloats(earlier.Name).AsSpan(earlier.First, part.Columns));
        else _weights.Fill(part, start, backend, to);
    }

    /// <summary>Where the part lies in the packed state of its layer, or null where it has a tensor of its own.</summary>
    (string Name, int First)? Earlier(WeightPart part)
    {
        if (_file.Contains(part.Name)) return null;
        var dot = part.Name.LastIndexOf('.') + 1;
        var packed = part.Name[..dot] + Packed;
        var entry = _file.Tensors.FirstOrDefault(t => t.Name == packed);
        if (entry is not { DType: "F32", Shape: [1, >= 3 and < int.MaxValue] }) return null;
        var experts = (int)entry.Shape[1] - 2;
        return part.Name[dot..] switch
        {
            "router_correction_bias" when part.Columns == experts => (packed, 0),
            "router_balance_coefficient" => (packed, experts),
            "router_baseline" => (packed, experts + 1),
            _ => null,
        };
    }

    public void Dispose() => _file.Dispose();
}
