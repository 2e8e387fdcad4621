using SparseExperts.Autograd;
using SparseExperts.Formats;

namespace SparseExperts.Layers;

/// <summary>
/// Numbers from a safetensors file that has the model's own names and shapes, in float32 or, where the model came from such a file, in two bytes. It is open
/// until the model's matrices are filled (<see cref="ParameterStore.Values"/>).
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
        if (entry.DType is not ("F32" or "BF16" or "F16") || !entry.Shape.SequenceEqual(shape))
        {
            var has = $"{entry.DType} [{string.Join(", ", entry.Shape)}]";
            var needed = $"the model needs F32 [{string.Join(", ", shape)}]";
            throw new InvalidFileException($"{path}: tensor '{part.Name}' is {has}, {needed}; take the model's own file");
        }
    }

    public ElementType TypeOf(WeightPart part) => file.Tensors.First(t => t.Name == part.Name).DType switch
    {
        "BF16" => ElementType.BFloat16,
        "F16" => ElementType.Float16,
        _ => ElementType.Real,
    };

    public void Fill(WeightPart part, Start start, IBackend backend, Matrix to)
    {
        var rows = part.RowsOfEach.Count;
        var one = new WeightPart(part.Name, 1, part.Rows, part.Columns) { RowsOfEach = part.RowsOfEach, ColumnsOfEach = part.ColumnsOfEach };
        var values = new float[part.Rows * part.Columns];
        for (var m = 0; m < part.Matrices.Count; m++)
        {
            file.ReadFloats(part.Name, (long)(part.Matrices.First + m) * values.Length, values);
            backend.Write(to.RowRange(m * rows, rows), (ReadOnlySpan<float>)(one.IsWhole ? values : one.Of(values)));
        }
    }
}
