namespace SparseExperts.Scalar;

/// <summary>
/// The definition of every op: plain loops over an arithmetic. <see cref="Float32"/> gives the canonical bits that SIMD backends must
/// equal, <see cref="Float64"/> the arbiter, <see cref="Tracked"/> a derived tolerance for every element, <see cref="Disturbed"/> what rounding may make of it.
/// </summary>
public sealed partial class ScalarBackend<T> : IBackend, IErrorBounds, IDisturbs where T : struct, IReal<T>
{
    static readonly T Zero = T.Of(0), One = T.Of(1), NegativeInfinity = T.Of(double.NegativeInfinity);

    /// <summary>Its ops keep nothing between calls but a fault, so that threads do not meet; those of a disturbed run draw one after the other.</summary>
    public BackendInfo Info { get; } = new($"scalar/{T.Name}", "CPU, one element at a time", T.Name, 1)
    {
        PromisesBits = typeof(T) == typeof(Float32),
        ServesThreads = typeof(T) != typeof(Disturbed),
    };

    /// <summary>By how much of itself a factor of a product may be rounded before it is multiplied; bounds count it.</summary>
    public double OperandError { get; init; }

    public bool CarriesBounds => typeof(T) == typeof(Tracked);

    public bool Disturbs => typeof(T) == typeof(Disturbed);

    public void Begin(int run) => Disturbed.Begin((ulong)run);

    readonly FaultFlag _faults = new();

    public IndexFault? TakeFault() => _faults.Take();

    public Storage Rent(ElementType type, long length) => new ScalarStorage<T>(this, type, length);
    public void Return(Storage storage) => ((ScalarStorage<T>)storage).Release();
    public void Dispose() { }

    public void Write(Storage to, long offset, ReadOnlySpan<float> values)
    {
        for (var i = 0; i < values.Length; i++) Numbers(to).Write(offset + i, values[i]);
    }

    public void Write(Storage to, long offset, ReadOnlySpan<double> values)
    {
        for (var i = 0; i < values.Length; i++) Numbers(to).Write(offset + i, values[i]);
    }

    public void Write(Storage to, long offset, ReadOnlySpan<int> values) => values.CopyTo(Integers(to).AsSpan(checked((int)offset)));

    public void Read(Storage from, long offset, Span<float> values)
    {
        for (var i = 0; i < values.Length; i++) values[i] = (float)Numbers(from)[offset + i].Value;
    }

    public void Read(Storage from, long offset, Span<double> values)
    {
        for (var i = 0; i < values.Length; i++) values[i] = Numbers(from)[offset + i].Value;
    }

    public void Read(Storage from, long offset, Span<int> values) => Integers(from).AsSpan(checked((int)offset), values.Length).CopyTo(values);

    /// <summary>The elements themselves, for those who need more than their values (the error bounds of <see cref="Tracked"/>).</summary>
    public T[] Elements(Matrix from)
    {
        var view = new View<T>(from);
        var values = new T[from.Count];
        for (var r = 0; r < from.Rows; r++)
            for (var c = 0; c < from.Columns; c++) values[r * from.Columns + c] = view[r, c];
        return values;
    }

    public void ReadErrors(Matrix from, Span<double> errors)
    {
        var view = new View<T>(from);
        for (var r = 0; r < from.Rows; r++)
            for (var c = 0; c < from.Columns; c++) errors[r * from.Columns + c] = view[r, c].Error;
    }

    public void WriteErrors(Matrix to, ReadOnlySpan<double> values, ReadOnlySpan<double> errors)
    {
        var view = new View<T>(to);
        for (var r = 0; r < to.Rows; r++)
            for (var c = 0; c < to.Columns; c++) view[r, c] = T.Within(values[r * to.Columns + c], errors.IsEmpty ? 0 : errors[r * to.Columns + c]);
    }

    public void Fill(Matrix matrix, double value)
    {
        Check.Owned(this, "Fill", matrix);
        var m = new View<T>(matrix);
        for (var r = 0; r < m.Rows; r++)
            for (var c = 0; c < m.Columns; c++) m[r, c] = T.Of(value);
    }

    public void Copy(Matrix from, Matrix to)
    {
        Check.Copy(this, from, to);
        Move(from, to);
    }

    public void Cast(Matrix x, Matrix y)
    {
        Check.Cast(this, x, y);
        Move(x, y);
    }

    static void Move(Matrix from, Matrix to)
    {
        AnyView<T> x = new(from), y = new(to);
        for (var r = 0; r < from.Rows; r++)
            for (var c = 0; c < from.Columns; c++) y[r, c] = x[r, c];
    }

    static ScalarStorage<T> Numbers(Storage storage) => (ScalarStorage<T>)storage;
    static int[] Integers(Storage storage) => ((ScalarStorage<T>)storage).Integers;
    static ReadOnlySpan<int> Integers(Indices indices) => Integers(indices.Storage).AsSpan(checked((int)indices.Offset), indices.Count);

    /// <summary>What "accumulate" means wherever the op is not itself a fused multiply-add.</summary>
    static void Put(ref T destination, T value, bool accumulate) => destination = accumulate ? destination + value : value;
}
