using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>cos and sin of position·base^(−2i/d), [positions, d/2], for rotary embeddings.</summary>
public readonly record struct RotaryTables(Matrix Cosines, Matrix Sines)
{
    public int Positions => Cosines.Rows;

    /// <summary>Positions <paramref name="first"/> … <paramref name="first"/> + <paramref name="count"/> − 1.</summary>
    public RotaryTables Range(int first, int count) => new(Cosines.RowRange(first, count), Sines.RowRange(first, count));

    /// <summary>Computed in double, rounded once.</summary>
    public static RotaryTables Create(IBackend backend, int positions, int headWidth, double frequencyBase = 10000) =>
        Create(backend, backend.Rent, positions, headWidth, frequencyBase);

    /// <summary>The same in memory of the tape, until its disposal.</summary>
    internal static RotaryTables Create(Tape tape, int positions, int headWidth, double frequencyBase = 10000) =>
        Create(tape.Backend, (rows, columns, _) => tape.Keep(rows, columns), positions, headWidth, frequencyBase);

    static RotaryTables Create(IBackend backend, Func<int, int, ElementType, Matrix> rent, int positions, int headWidth, double frequencyBase)
    {
        var half = headWidth / 2;
        double[] cos = new double[positions * half], sin = new double[positions * half];
        double[] frequency = [.. Enumerable.Range(0, half).Select(i => ReproducibleMath.Pow(frequencyBase, -(double)i / half))];
        for (var p = 0; p < positions; p++)
            for (var i = 0; i < half; i++)
                (sin[p * half + i], cos[p * half + i]) = ReproducibleMath.SinCos(p * frequency[i]);
        Matrix cosines = rent(positions, half, ElementType.Real), sines = rent(positions, half, ElementType.Real);
        backend.Write(cosines, cos);
        backend.Write(sines, sin);
        return new(cosines, sines);
    }
}

public static partial class Op
{
    /// <summary>Rotary positions on heads side by side, halves turning together; row r has the tables' row r mod their rows.</summary>
    /// <remarks>The gradient is turned back.</remarks>
    public static Tensor Rotary(this Tape tape, Tensor x, RotaryTables tables, int headWidth) => tape.Apply(nameof(Rotary), x.Rows, x.Columns, [x],
        y => tape.Backend.Rotary(x.Value, tables.Cosines, tables.Sines, headWidth, false, y.Value, false),
        y => tape.Backend.Rotary(y.Gradient, tables.Cosines, tables.Sines, headWidth, true, x.GradientTarget(out var add), add));
}
