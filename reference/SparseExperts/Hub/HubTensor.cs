namespace SparseExperts.Hub;

/// <summary>
/// Where numbers of a stored tensor are in a matrix of the model: element (r, c) of its matrix m, m from <see cref="First"/> on, is stored at
/// <c>Offset + (m − First)·MatrixStride + r·RowStride + c·ColumnStride</c>.
/// </summary>
/// <param name="Own">Path of the matrix.</param>
/// <param name="First">The first matrix of the stack that is meant, and how many.</param>
public sealed record HubPiece(string Own, int First, int Matrices, long Offset, long MatrixStride, long RowStride, long ColumnStride)
{
    const int Tile = 32;

    /// <summary>Stored numbers from the first to the last of a matrix [rows, columns]; others may lie between.</summary>
    public long Span(int rows, int columns) => (rows - 1) * RowStride + (columns - 1) * ColumnStride + 1;

    /// <summary>A matrix, row by row, from its <see cref="Span"/>.</summary>
    public void Gather<T>(ReadOnlySpan<T> stored, int rows, int columns, Span<T> matrix)
    {
        for (var r0 = 0; r0 < rows; r0 += Tile)
            for (var c0 = 0; c0 < columns; c0 += Tile)
                for (var r = r0; r < Math.Min(rows, r0 + Tile); r++)
                    for (var c = c0; c < Math.Min(columns, c0 + Tile); c++)
                        matrix[r * columns + c] = stored[(int)(r * RowStride + c * ColumnStride)];
    }

    /// <summary>The inverse: what lies between stays.</summary>
    public void Scatter<T>(ReadOnlySpan<T> matrix, int rows, int columns, Span<T> stored)
    {
        for (var r0 = 0; r0 < rows; r0 += Tile)
            for (var c0 = 0; c0 < columns; c0 += Tile)
                for (var r = r0; r < Math.Min(rows, r0 + Tile); r++)
                    for (var c = c0; c < Math.Min(columns, c0 + Tile); c++)
                        stored[(int)(r * RowStride + c * ColumnStride)] = matrix[r * columns + c];
    }
}

/// <summary>A tensor of a checkpoint of the hub, and the matrices of the model that its numbers are in.</summary>
/// <param name="Name">As stored.</param>
public sealed record HubTensor(string Name, IReadOnlyList<long> Shape, IReadOnlyList<HubPiece> Pieces)
{
    public long Count => Shape.Aggregate(1L, (a, b) => a * b);
}

/// <summary>
/// A matrix of the model that checkpoints have: <see cref="Stack"/> matrices [<see cref="Rows"/>, <see cref="Columns"/>], and what they are stored as.
/// </summary>
public sealed record HubMatrix(string Path, int Stack, int Rows, int Columns)
{
    readonly List<(HubTensor Tensor, HubPiece Piece)> _sources = [];

    /// <summary>Tensors that have its numbers, by the first matrix of each.</summary>
    public IReadOnlyList<(HubTensor Tensor, HubPiece Piece)> Sources => _sources;

    internal void Add(HubTensor tensor, HubPiece piece) => _sources.Add((tensor, piece));

    /// <summary>What matrix <paramref name="m"/> of the stack is stored as, and the number of the tensor that its span begins with.</summary>
    public (HubTensor Tensor, HubPiece Piece, long First) SourceOf(int m)
    {
        // One tensor has all of the stack, or each has one.
        var (tensor, piece) = _sources[_sources.Count > 1 ? m : 0];
        return (tensor, piece, piece.Offset + (m - piece.First) * piece.MatrixStride);
    }

    /// <summary>Shape in a file of the model's own.</summary>
    public long[] Shape => [(long)Stack * Rows, Columns];
}
