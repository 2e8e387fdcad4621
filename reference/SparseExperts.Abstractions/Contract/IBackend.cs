namespace SparseExperts;

/// <summary>Name and nature of a backend. <paramref name="Precision"/> says what its reals are and how products accumulate.</summary>
public sealed record BackendInfo(string Name, string Device, string Precision, int Threads)
{
    /// <summary>Whether every op has the bits of the definition (docs/numerics.md).</summary>
    public bool PromisesBits { get; init; }

    /// <summary>
    /// By how much of itself a factor of a product may be rounded before it is multiplied, 0 where factors are taken as they are: a sum of products
    /// then departs by (2ε + ε²)·Σ|terms| more than float32 explains.
    /// </summary>
    public double ProductOperandError { get; init; }

    /// <summary>Whether its numbers lie in a memory of its own, which is not the host's.</summary>
    public bool HasOwnMemory { get; init; }

    /// <summary>Whether several threads may call it at once, each with matrices of its own to write into.</summary>
    public bool ServesThreads { get; init; }
}

/// <summary>
/// Everything that a model needs from a machine. Ops write into destinations that the caller passes; every
/// <c>…Backward</c> op adds to its gradients when <c>accumulate</c> is true and overwrites them otherwise.
/// Ops of one backend run one after the other: it serves one thread at a time, and several threads take a backend each, unless it says that it
/// <see cref="BackendInfo.ServesThreads"/>.
/// A destination never overlaps a source unless the op's card says so. Constants are doubles, rounded once to the backend's reals.
/// </summary>
public partial interface IBackend : ILinearAlgebra, IPointwise, IRows, IAttention, IIndexing, IMixture, IOptimizers, IDisposable
{
    BackendInfo Info { get; }

    /// <summary>A storage of at least <paramref name="length"/> elements from the pool; its contents are arbitrary.</summary>
    Storage Rent(ElementType type, long length);

    /// <summary>Gives a storage back to the pool.</summary>
    void Return(Storage storage);

    /// <summary>Numbers from the host; a storage of a narrow format gets each rounded once.</summary>
    void Write(Storage to, long offset, ReadOnlySpan<float> values);
    void Write(Storage to, long offset, ReadOnlySpan<double> values);
    void Write(Storage to, long offset, ReadOnlySpan<int> values);
    void Read(Storage from, long offset, Span<float> values);
    void Read(Storage from, long offset, Span<double> values);
    void Read(Storage from, long offset, Span<int> values);

    /// <summary>
    /// Until the scope is disposed of, products have the definition's bits, whatever <see cref="Precision"/> the backend was asked for. Scopes nest.
    /// A router's numbers are computed in one; a backend that has nothing but exact products does nothing.
    /// </summary>
    IDisposable Exactly() => NothingToDo.Scope;

    /// <summary>
    /// What is asked until the scope is disposed of will be asked again in later scopes, in the same order and mostly in the same shapes, as a training step
    /// is: a backend may keep ops until somebody waits and give its device many of them as one. Results and faults are those of the ops one by one.
    /// A backend that works at once does nothing. Scopes nest.
    /// </summary>
    IDisposable Repeated() => NothingToDo.Scope;

    /// <summary>Planning on the backend; null where the host plans.</summary>
    IRouting? Routing => null;

    /// <summary>
    /// The first index out of its range that an op met since the last call, or null. Ops need not look at indices on the host, so a wrong one stops nobody
    /// where it stands: it counts as none, nothing is read or written outside of a view, and this flag stays until somebody takes it, as whoever reads a
    /// loss or a result does (<see cref="BackendExtensions.CheckFaults"/>). Waits for the work that was given. A backend that refuses a wrong index in the
    /// op itself, by a <see cref="ShapeException"/> with the same line, has none.
    /// </summary>
    IndexFault? TakeFault() => null;

    /// <summary>Every element of <paramref name="matrix"/> becomes <paramref name="value"/>.</summary>
    void Fill(Matrix matrix, double value);

    /// <summary>Row-by-row copy between views of equal shape and format.</summary>
    void Copy(Matrix from, Matrix to);
}

/// <summary>Convenience on top of the contract: views in, arrays out.</summary>
public static class BackendExtensions
{
    public static Matrix Rent(this IBackend backend, int rows, int columns, ElementType type = ElementType.Real) =>
        new(backend.Rent(type, Math.Max(1, (long)rows * columns)), rows, columns);

    /// <summary>Throws where an op has met an index out of its range since the last call: before numbers that came of it are believed.</summary>
    public static void CheckFaults(this IBackend backend)
    {
        if (backend.TakeFault() is { } fault) throw new ShapeException(fault.Message);
    }

    public static Indices Upload(this IBackend backend, ReadOnlySpan<int> values)
    {
        var storage = backend.Rent(ElementType.Integer, Math.Max(1, values.Length));
        backend.Write(storage, 0, values);
        return new(storage, 0, values.Length);
    }

    public static void Write(this IBackend backend, Matrix to, ReadOnlySpan<float> values)
    {
        if (to.IsContiguous) { backend.Write(to.Storage, to.Offset, values[..checked((int)to.Count)]); return; }
        for (var r = 0; r < to.Rows; r++) backend.Write(to.Storage, to.Offset + (long)r * to.Stride, values.Slice(r * to.Columns, to.Columns));
    }

    public static void Write(this IBackend backend, Matrix to, ReadOnlySpan<double> values)
    {
        if (to.IsContiguous) { backend.Write(to.Storage, to.Offset, values[..checked((int)to.Count)]); return; }
        for (var r = 0; r < to.Rows; r++) backend.Write(to.Storage, to.Offset + (long)r * to.Stride, values.Slice(r * to.Columns, to.Columns));
    }

    public static void Read(this IBackend backend, Matrix from, Span<float> values)
    {
        if (from.IsContiguous) { backend.Read(from.Storage, from.Offset, values[..checked((int)from.Count)]); return; }
        for (var r = 0; r < from.Rows; r++) backend.Read(from.Storage, from.Offset + (long)r * from.Stride, values.Slice(r * from.Columns, from.Columns));
    }

    public static void Read(this IBackend backend, Matrix from, Span<double> values)
    {
        if (from.IsContiguous) { backend.Read(from.Storage, from.Offset, values[..checked((int)from.Count)]); return; }
        for (var r = 0; r < from.Rows; r++) backend.Read(from.Storage, from.Offset + (long)r * from.Stride, values.Slice(r * from.Columns, from.Columns));
    }

    public static float[] ToArray(this IBackend backend, Matrix from)
    {
        var values = new float[from.Count];
        backend.Read(from, values);
        return values;
    }

    public static int[] ToArray(this IBackend backend, Indices from)
    {
        var values = new int[from.Count];
        backend.Read(from.Storage, from.Offset, (Span<int>)values);
        return values;
    }

    public static double[] ToDoubles(this IBackend backend, Matrix from)
    {
        var values = new double[from.Count];
        backend.Read(from, values);
        return values;
    }
}
