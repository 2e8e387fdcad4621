using SparseExperts.Formats;
using SparseExperts.Layers;

namespace SparseExperts.Hub;

/// <summary>
/// A checkpoint of the hub as a source of weights: every matrix of the model is filled from the stored tensors by its family's table, one expert after the
/// other, whatever their format. The folder is open until the model's matrices are filled.
/// </summary>
public sealed class HubWeights(HubFolder folder) : IWeightSource
{
    readonly HashSet<string> _asked = new(StringComparer.Ordinal);

    /// <summary>Matrices of the checkpoint that the model has not asked for.</summary>
    public IEnumerable<string> Others => folder.Tensors.Matrices.Keys.Where(path => !_asked.Contains(path));

    public void Declare(WeightPart part)
    {
        var matrix = Find(part);
        _asked.Add(part.Name);
        if (Fits(part, matrix)) return;
        throw new InvalidFileException($"{folder.Path}: '{part.Name}' is {matrix.Stack} × [{matrix.Rows}, {matrix.Columns}] in {folder.Config.ModelType}, "
            + $"the model needs {part.Stack} × [{part.Rows}, {part.Columns}]; take the model's own checkpoint");
    }

    public void Fill(WeightPart part, Start start, IBackend backend, Matrix to)
    {
        var matrix = Find(part);
        var whole = part.Stack == matrix.Stack ? part : new WeightPart(part.Name, matrix.Stack, matrix.Rows, matrix.Columns);
        var rows = whole.RowsOfEach.Count;
        for (var m = 0; m < whole.Matrices.Count; m++)
        {
            var values = Read(matrix, whole.Matrices.First + m);
            var one = new WeightPart(part.Name, 1, matrix.Rows, matrix.Columns) { RowsOfEach = whole.RowsOfEach, ColumnsOfEach = whole.ColumnsOfEach };
            backend.Write(to.RowRange(m * rows, rows), (ReadOnlySpan<float>)(one.IsWhole ? values : one.Of(values)));
        }
    }

    /// <summary>Matrix <paramref name="m"/> of a stack, row by row.</summary>
    float[] Read(HubMatrix matrix, int m)
    {
        var (tensor, piece, first) = matrix.SourceOf(m);
        var stored = new float[piece.Span(matrix.Rows, matrix.Columns)];
        folder.Stored(tensor.Name).ReadFloats(first, stored);
        var values = new float[matrix.Rows * matrix.Columns];
        piece.Gather<float>(stored, matrix.Rows, matrix.Columns, values);
        return values;
    }

    HubMatrix Find(WeightPart part) => folder.Tensors.Matrices.TryGetValue(part.Name, out var matrix)
        ? matrix
        : throw new InvalidFileException($"{folder.Path}: {folder.Config.ModelType} has no '{part.Name}' by its config.json; take a checkpoint of this model");

    /// <summary>Rows of a stack may be one matrix of so many rows where all of it is asked for: biases of experts.</summary>
    static bool Fits(WeightPart part, HubMatrix matrix) => part.Columns == matrix.Columns
        && ((part.Stack == matrix.Stack && part.Rows == matrix.Rows)
            || (part.IsWhole && (long)part.Stack * part.Rows == (long)matrix.Stack * matrix.Rows));
}
