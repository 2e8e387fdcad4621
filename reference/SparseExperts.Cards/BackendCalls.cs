namespace SparseExperts;

/// <summary>Arguments of wrong calls that are computed all the same.</summary>
static class BackendCalls
{
    /// <summary>Memory that may be read.</summary>
    public static Matrix Zeros(this IBackend backend, int rows, int columns)
    {
        var zeros = backend.Rent(rows, columns);
        backend.Fill(zeros, 0);
        return zeros;
    }
}
