using System.Numerics;

namespace SparseExperts.Autograd;

/// <summary>What is the same in every step, made once and kept until disposal: matrices that are products' other factor, and regular runs of indices.</summary>
sealed class Constants(IBackend backend) : IDisposable
{
    readonly Arena _arena = new(backend);
    readonly Dictionary<int, Matrix> _ones = [], _units = [];
    readonly Dictionary<object, Matrix> _columns = [];
    readonly Dictionary<object, Indices> _indices = [];

    /// <summary>A column of ones: products with it broadcast and sum exactly. Lengths share the column of the next power of two.</summary>
    public Matrix Ones(int rows)
    {
        var length = rows <= 1 << 30 ? (int)BitOperations.RoundUpToPowerOf2((uint)rows) : rows;
        if (!_ones.TryGetValue(length, out var ones))
        {
            _ones[length] = ones = _arena.Rent(length, 1);
            backend.Fill(ones, 1);
        }
        return ones.RowRange(0, rows);
    }

    /// <summary>The unit matrix [n, n].</summary>
    public Matrix Unit(int n)
    {
        if (_units.TryGetValue(n, out var unit)) return unit;
        unit = _arena.Rent(n, n);
        var values = new float[n * n];
        for (var i = 0; i < n; i++) values[i * n + i] = 1;
        backend.Write(unit, values);
        return _units[n] = unit;
    }

    /// <summary><paramref name="first"/>, first + step, …, each <paramref name="repeats"/> times: <paramref name="count"/> indices in all.</summary>
    public Indices Run(int first, int step, int repeats, int count)
    {
        return Indices((first, step, repeats, count), () =>
        {
            var values = new int[count];
            for (var i = 0; i < count; i++) values[i] = first + i / repeats * step;
            return values;
        });
    }

    /// <summary>A column of numbers that <paramref name="key"/> alone decides.</summary>
    public Matrix Column(object key, Func<double[]> make)
    {
        if (_columns.TryGetValue(key, out var known)) return known;
        var values = make();
        var column = _arena.Rent(values.Length, 1);
        backend.Write(column, (ReadOnlySpan<double>)values);
        return _columns[key] = column;
    }

    /// <summary>Indices that <paramref name="key"/> alone decides.</summary>
    public Indices Indices(object key, Func<int[]> make) =>
        _indices.TryGetValue(key, out var known) ? known : _indices[key] = _arena.Upload(make());

    public void Dispose() => _arena.Reset();
}
