namespace SparseExperts;

/// <summary>
/// What a storage holds: 32-bit floats (or the backend's own real type), 32-bit integers, or numbers of two bytes. Ops compute on reals;
/// <see cref="IPointwise.Cast"/> goes from a format to another, and only copies and gathers move narrow numbers as they are.
/// </summary>
public enum ElementType { Real, Integer, BFloat16, Float16 }

/// <summary>An opaque block of numbers that one backend owns. Only its owner can look inside.</summary>
public abstract class Storage(IBackend owner, ElementType type, long length)
{
    public IBackend Owner { get; } = owner;
    public ElementType Type { get; } = type;

    /// <summary>Number of elements that may be used.</summary>
    public long Length { get; } = length;
}

/// <summary>A row-major view of a storage: element (r, c) lies at <c>Offset + r·Stride + c</c>.</summary>
public readonly record struct Matrix(Storage Storage, long Offset, int Rows, int Columns, int Stride)
{
    public Matrix(Storage storage, int rows, int columns) : this(storage, 0, rows, columns, columns) { }

    public bool IsContiguous => Stride == Columns || Rows <= 1;
    public long Count => (long)Rows * Columns;

    /// <summary>Rows <paramref name="start"/> … <paramref name="start"/> + <paramref name="count"/> − 1.</summary>
    public Matrix RowRange(int start, int count) =>
        start >= 0 && count >= 0 && start + count <= Rows
            ? this with { Offset = Offset + (long)start * Stride, Rows = count }
            : throw new ShapeException($"RowRange: rows {start}…{start + count} of a {Shape} matrix; ask for rows within 0…{Rows}");

    /// <summary>Columns <paramref name="start"/> … <paramref name="start"/> + <paramref name="count"/> − 1.</summary>
    public Matrix ColumnRange(int start, int count) =>
        start >= 0 && count >= 0 && start + count <= Columns
            ? this with { Offset = Offset + start, Columns = count }
            : throw new ShapeException($"ColumnRange: columns {start}…{start + count} of a {Shape} matrix; ask for columns within 0…{Columns}");

    /// <summary>The same numbers with other row and column counts; only for contiguous views.</summary>
    public Matrix Reshape(int rows, int columns) =>
        IsContiguous && (long)rows * columns == Count
            ? new(Storage, Offset, rows, columns, columns)
            : throw new ShapeException($"Reshape: a {Shape} view with stride {Stride} cannot be read as {rows}×{columns}; copy it first or keep the count");

    /// <summary>The format of its numbers.</summary>
    public ElementType Type => Storage.Type;

    public string Shape => $"{Rows}×{Columns}";
    public override string ToString() => $"{Shape} on '{Storage.Owner.Info.Name}'";
}

/// <summary>A run of 32-bit integers inside a storage.</summary>
public readonly record struct Indices(Storage Storage, long Offset, int Count);

/// <summary>A shape, owner or argument that an op cannot work with. The message names op, shapes and remedy.</summary>
public sealed class ShapeException(string message) : ArgumentException(message);
