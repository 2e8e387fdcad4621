using SparseExperts.Autograd;
using SparseExperts.Formats;

namespace SparseExperts.Layers;

/// <summary>
/// Numbers from a safetensors file that has the model's own names and shapes. It is open until the model's matrices are filled
/// (<see cref="ParameterStore.Values"/>).
/// </summary>
/// <param name="path">For messages.</param>
public sealed class FileWeights(SafetensorsFile file, string path) : IWeightSource
{
    readonly HashSet<string> _asked = new(StringComparer.Ordinal);

    /// <summary>Tensors that nobody has asked for.</summary>
    public IEnumerable<string> Others => file.Tensors.Select(t => t.Name).Where(name => !_asked.Contains(name));

    public void Declare(WeightPart part)
    {
        _asked.Add(part.Name);
        var entry = file.Tensors.FirstOrDefault(t => t.Name == part.Name)
            ?? throw new InvalidFileException($"{path}: no tensor '{part.Name}'; the file belongs to another model");
        long[] shape = [(long)part.Stack * part.Rows, part.Columns];
        if (entry.DType != "F32" || !entry.Shape.SequenceEqual(shape))
        {
            var has = $"{entry.DType} [{string.Join(", ", entry.Shape)}]";
            throw new InvalidFileException($"{path}: tensor '{part.Name}' is {has}, the model needs F32 [{string.Join(", ", shape)}]; take the model's own file");
        }
    }

    public void Fill(WeightPart part, Start start, IBackend backend, Matrix to)
    {
        var whole = file.ReadFloats(part.Name);
        backend.Write(to, (ReadOnlySpan<float>)(part.IsWhole ? whole : part.Of(whole)));
    }
}
