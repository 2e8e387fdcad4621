using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>Rotary positions on heads side by side.</summary>
static class HeadRotation
{
    /// <summary>A function has two of them, the factor on it one.</summary>
    const double Unit = 1.0 / 16777216;

    /// <param name="first">Column of a head from which on it turns.</param>
    /// <param name="x">[T, heads·width].</param>
    public static Tensor Apply(Tape tape, HubRotary rotary, int first, RotaryTables tables, Tensor x, int heads)
    {
        int width = x.Columns / heads, turned = rotary.Width, behind = first + turned;
        if (turned == width && !rotary.Interleaved) return tape.Rotary(x, tables, width);
        var rows = tape.Reshape(x, x.Rows * heads, width);
        var part = turned == width ? rows : tape.Columns(rows, first, turned);
        if (rotary.Interleaved) part = Halves(tape, part);
        part = tape.Reshape(tape.Rotary(tape.Reshape(part, x.Rows, heads * turned, x.Sequence), tables, turned), rows.Rows, turned);
        if (rotary.Interleaved) part = Pairs(tape, part);
        List<Tensor> parts = [part];
        if (first > 0) parts.Insert(0, tape.Columns(rows, 0, first));
        if (behind < width) parts.Add(tape.Columns(rows, behind, width - behind));
        return tape.Reshape(parts.Count == 1 ? part : tape.JoinColumns(parts), x.Rows, x.Columns, x.Sequence);
    }

    /// <summary>The first number of every pair of neighbours, then the second ones.</summary>
    static Tensor Halves(Tape tape, Tensor x)
    {
        var pairs = tape.Reshape(x, x.Rows * (x.Columns / 2), 2);
        Tensor Of(int i) => tape.Reshape(tape.Columns(pairs, i, 1), x.Rows, x.Columns / 2, x.Sequence);
        return tape.JoinColumns([Of(0), Of(1)]);
    }

    static Tensor Pairs(Tape tape, Tensor x)
    {
        var half = x.Columns / 2;
        Tensor Of(int i) => tape.Reshape(tape.Columns(x, i * half, half), x.Rows * half, 1);
        return tape.Reshape(tape.JoinColumns([Of(0), Of(1)]), x.Rows, x.Columns, x.Sequence);
    }

    /// <summary>
    /// A row a column of the batch, or a token where rows have positions of their own; computed in double, where bounds are carried with what float32 loses on
    /// the way to them.
    /// </summary>
    public static RotaryTables Tables(Tape tape, HubRotary rotary, HubInputs inputs)
    {
        var frequencies = RotaryFrequencies.Of(rotary, inputs.Keys);
        var (rows, columns) = (inputs.Positions.Length == 0 ? inputs.Length : inputs.Ids.Length, frequencies.Length);
        double[] cos = new double[rows * columns], sin = new double[cos.Length], cosErrors = new double[cos.Length], sinErrors = new double[cos.Length];
        Array.Fill(cos, 1);
        for (var row = 0; row < rows; row++)
            for (var i = 0; i < columns; i++)
            {
                if (frequencies[i] == 0) continue;
                var (at, angle) = (row * columns + i, inputs.Position(row / inputs.Length, row % inputs.Length) * frequencies[i]);
                var (s, c) = ReproducibleMath.SinCos(angle);
                (cos[at], sin[at]) = (c * rotary.AttentionFactor, s * rotary.AttentionFactor);
                if (angle == 0 && rotary.AttentionFactor == 1) continue;
                var off = Math.Abs(rotary.AttentionFactor * angle) * RotaryFrequencies.AngleError(rotary, i);
                (cosErrors[at], sinErrors[at]) = (off + 3 * Unit * Math.Abs(cos[at]), off + 3 * Unit * Math.Abs(sin[at]));
            }
        return new(Written(tape, rows, columns, cos, cosErrors), Written(tape, rows, columns, sin, sinErrors));
    }

    /// <summary>Numbers with their bounds, where the backend carries any or disturbs within them.</summary>
    public static Matrix Written(Tape tape, int rows, int columns, double[] values, double[] errors)
    {
        var matrix = tape.Rent(rows, columns);
        if (tape.Backend is IErrorBounds bounds) bounds.WriteErrors(matrix, values, errors);
        else tape.Backend.Write(matrix, (ReadOnlySpan<double>)values);
        return matrix;
    }
}
