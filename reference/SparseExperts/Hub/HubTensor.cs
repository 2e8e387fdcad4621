namespace SparseExperts.Hub;

/// <summary>
/// Where numbers of a stored tensor are in a matrix of the model: element (r, c) of its matrix m, m from <see cref="First"/> on, is stored at
/// <c>Offset + (m − First)·MatrixStride + r·RowStride + c·ColumnStride</c>.
/// </summary>
/// <param name="Own">Path of the matrix.</param>
/// <param name="First">The first matrix of the stack that is meant, and how many.</param>
public sealed record HubPiece(string Own, int First, int Matrices, long Offset, long MatrixStride, long RowStride, long ColumnStride);

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

    /// <summary>What matrix <paramref name="m"/> of the stack is stored as.</summary>
    public (HubTensor Tensor, HubPiece Piece) SourceOf(int m)
    {
        // One tensor has all of the stack, or each has one.
        if (_sources.Count > 1) return _sources[m];
        return _sources[0];
    }
}
