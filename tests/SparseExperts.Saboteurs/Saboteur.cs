using SparseExperts.Conformance;
using SparseExperts.Scalar;

namespace SparseExperts.Saboteurs;

/// <summary>A healthy backend with one op broken. Over float64 the gradient law examines it, over float32 the others.</summary>
public abstract class Saboteur(IBackend inner) : DelegatingBackend(inner)
{
    /// <summary>The rounding of the healthy backend, so that a saboteur breaks one thing only.</summary>
    protected double Round(double value) => Inner is ScalarBackend<Float64> ? value : (float)value;

    /// <summary>A matrix as a table that can be read by row and column.</summary>
    protected Table Look(Matrix matrix) => new(Inner.ToDoubles(matrix), matrix.Rows, matrix.Columns);

    protected void Put(Matrix matrix, Table values) => Inner.Write(matrix, (ReadOnlySpan<double>)values.Values);

    protected int[] Look(Indices indices)
    {
        var values = new int[indices.Count];
        Inner.Read(indices.Storage, indices.Offset, (Span<int>)values);
        return values;
    }

    protected sealed class Table(double[] values, int rows, int columns)
    {
        public double[] Values => values;
        public int Rows => rows;
        public int Columns => columns;
        public ref double this[int row, int column] => ref values[row * columns + column];
    }
}
