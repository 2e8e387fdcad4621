using System.Buffers;
using System.Numerics.Tensors;

namespace SparseExperts.Formats;

/// <summary>
/// Host tensors of any strides in and out of a backend, beside plain spans. A tensor of more than two dimensions is read as a matrix of its last
/// one: [a, b, c] fills [a·b, c].
/// </summary>
public static class TensorSpans
{
    /// <exception cref="ShapeException">The tensor is of another shape.</exception>
    public static void Write(this IBackend backend, Matrix to, in ReadOnlyTensorSpan<float> values)
    {
        Require("Write", to, values.Lengths);
        var row = new float[to.Columns];
        for (var r = 0; r < to.Rows; r++)
        {
            values.Slice(RowOf(values.Lengths, r)).FlattenTo(row);
            backend.Write(to.Storage, to.Offset + (long)r * to.Stride, (ReadOnlySpan<float>)row);
        }
    }

    /// <exception cref="ShapeException">The tensor is of another shape.</exception>
    public static void Read(this IBackend backend, Matrix from, in TensorSpan<float> values)
    {
        Require("Read", from, values.Lengths);
        var row = new float[from.Columns];
        for (var r = 0; r < from.Rows; r++)
        {
            backend.Read(from.Storage, from.Offset + (long)r * from.Stride, row.AsSpan());
            var part = RowOf(values.Lengths, r);
            new ReadOnlyTensorSpan<float>(row, LengthsOf(values.Lengths)).CopyTo(values.Slice(part));
        }
    }

    static void Require(string op, Matrix matrix, ReadOnlySpan<nint> lengths)
    {
        nint rows = 1;
        for (var i = 0; i < lengths.Length - 1; i++) rows *= lengths[i];
        if (lengths.Length == 0 || rows != matrix.Rows || lengths[^1] != matrix.Columns)
        {
            var shape = string.Join(", ", lengths.ToArray());
            throw new ShapeException($"{op}: a tensor of [{shape}] for a {matrix.Shape} matrix; give one whose last dimension is its columns");
        }
    }

    /// <summary>The ranges of row r, each of length one but for the last.</summary>
    static NRange[] RowOf(ReadOnlySpan<nint> lengths, int row)
    {
        var ranges = new NRange[lengths.Length];
        ranges[^1] = NRange.All;
        nint rest = row;
        for (var i = lengths.Length - 2; i >= 0; i--)
        {
            var at = rest % lengths[i];
            ranges[i] = new(at, at + 1);
            rest /= lengths[i];
        }
        return ranges;
    }

    static nint[] LengthsOf(ReadOnlySpan<nint> lengths)
    {
        var sizes = new nint[lengths.Length];
        Array.Fill(sizes, 1);
        sizes[^1] = lengths[^1];
        return sizes;
    }
}
