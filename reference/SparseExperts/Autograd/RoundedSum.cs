namespace SparseExperts.Autograd;

/// <summary>
/// The gradient of a tensor that several ops read, in a narrow format: each hands in its part rounded, and the parts are added one after the other, each sum
/// rounded, in whatever order. Values are the plain sum; bounds hold for every such order: (n − 1) roundings of partial sums of at most Σ|part|.
/// </summary>
sealed class RoundedSum(Tape tape, NumberFormat format, int rows, int columns)
{
    readonly double[] _magnitudes = new double[rows * columns];
    readonly int[] _parts = new int[rows * columns];
    Matrix? _sum, _pending;

    /// <summary>Where the next part is written.</summary>
    public Matrix Next()
    {
        Fold();
        _pending = tape.Rent(rows, columns);
        return _pending.Value;
    }

    /// <summary>The sum of all parts so far.</summary>
    public Matrix Total()
    {
        Fold();
        var total = _sum ?? throw new InvalidOperationException("nothing was added yet");
        double[] values = new double[_magnitudes.Length], errors = new double[values.Length];
        tape.Backend.Read(total, values);
        Bounds.ReadErrors(total, errors);
        for (var i = 0; i < errors.Length; i++)
        {
            var size = _magnitudes[i];
            if (_parts[i] > 1 && double.IsFinite(size)) errors[i] += (_parts[i] - 1) * Rounding.HalfUnit(format, size);
            (_parts[i], _magnitudes[i]) = (Math.Min(_parts[i], 1), Math.Abs(values[i]) + errors[i]);
        }
        Bounds.WriteErrors(total, values, errors);
        return total;
    }

    void Fold()
    {
        if (_pending is not { } part) return;
        tape.Backend.Round(format, part, part);
        double[] values = new double[_magnitudes.Length], errors = new double[values.Length];
        tape.Backend.Read(part, values);
        Bounds.ReadErrors(part, errors);
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] == 0 && errors[i] == 0) continue;
            _parts[i]++;
            _magnitudes[i] += Math.Abs(values[i]) + errors[i];
        }
        if (_sum is { } sum) tape.Backend.Add(part, sum, sum);
        else _sum = part;
        _pending = null;
    }

    IErrorBounds Bounds => (IErrorBounds)tape.Backend;
}
