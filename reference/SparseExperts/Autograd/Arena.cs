namespace SparseExperts.Autograd;

/// <summary>Memory with one end: what was rented here goes back to the backend's pool all at once.</summary>
sealed class Arena(IBackend backend)
{
    readonly List<Storage> _rented = [];

    /// <summary>A matrix of arbitrary contents.</summary>
    public Matrix Rent(int rows, int columns)
    {
        var matrix = backend.Rent(rows, columns);
        _rented.Add(matrix.Storage);
        return matrix;
    }

    /// <summary>Integers of arbitrary contents.</summary>
    public Storage RentIntegers(long count) => Rent(ElementType.Integer, count);

    /// <summary>Elements of arbitrary contents.</summary>
    public Storage Rent(ElementType type, long count)
    {
        var storage = backend.Rent(type, Math.Max(1, count));
        _rented.Add(storage);
        return storage;
    }

    public Indices Upload(ReadOnlySpan<int> values)
    {
        var indices = backend.Upload(values);
        _rented.Add(indices.Storage);
        return indices;
    }

    /// <summary>The memory of <paramref name="other"/> lives as long as this one's.</summary>
    public void TakeOver(Arena other)
    {
        _rented.AddRange(other._rented);
        other._rented.Clear();
    }

    public void Reset()
    {
        foreach (var storage in _rented) backend.Return(storage);
        _rented.Clear();
    }
}
