namespace SparseExperts.Profiling;

/// <summary>What crosses between the host and the backend, and what only moves or fills memory.</summary>
public sealed partial class CountingBackend
{
    public void Fill(Matrix matrix, double value)
    {
        using var call = Begin(0, matrix);
        inner.Fill(matrix, value);
    }

    public void Copy(Matrix from, Matrix to)
    {
        using var call = Begin(Bytes(from), to);
        inner.Copy(from, to);
    }

    public void Write(Storage to, long offset, ReadOnlySpan<float> values)
    {
        using var call = Begin(0, (long)values.Length * to.Type.Bytes(), null);
        inner.Write(to, offset, values);
    }

    public void Write(Storage to, long offset, ReadOnlySpan<double> values)
    {
        using var call = Begin(0, (long)values.Length * to.Type.Bytes(), null);
        inner.Write(to, offset, values);
    }

    public void Write(Storage to, long offset, ReadOnlySpan<int> values)
    {
        using var call = Begin(0, (long)values.Length * to.Type.Bytes(), null);
        inner.Write(to, offset, values);
    }

    public void Read(Storage from, long offset, Span<float> values)
    {
        using var call = Begin((long)values.Length * from.Type.Bytes(), 0, null);
        inner.Read(from, offset, values);
    }

    public void Read(Storage from, long offset, Span<double> values)
    {
        using var call = Begin((long)values.Length * from.Type.Bytes(), 0, null);
        inner.Read(from, offset, values);
    }

    public void Read(Storage from, long offset, Span<int> values)
    {
        using var call = Begin((long)values.Length * from.Type.Bytes(), 0, null);
        inner.Read(from, offset, values);
    }

    public void ReadErrors(Matrix from, Span<double> errors)
    {
        using var call = Begin(Bytes(from), 0, null);
        if (inner is IErrorBounds bounds) bounds.ReadErrors(from, errors);
        else errors.Clear();
    }

    public void WriteErrors(Matrix to, ReadOnlySpan<double> values, ReadOnlySpan<double> errors)
    {
        using var call = Begin(0, Bytes(to), null);
        if (inner is IErrorBounds bounds) bounds.WriteErrors(to, values, errors);
        else inner.Write(to, values);
    }
}
