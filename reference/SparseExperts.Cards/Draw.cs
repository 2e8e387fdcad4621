namespace SparseExperts;

/// <summary>
/// The nature of drawn numbers. Calm: magnitudes in [2⁻⁶, 2), nothing near a kink. Wide: zeros of both signs, subnormals and magnitudes
/// from 2⁻²⁴ to 2²⁴. Special: infinities, NaN and the largest float as well. Coarse: multiples of 1/8 within [−2, 2], whose products and sums no
/// order rounds.
/// </summary>
public enum Temper { Calm, Wide, Special, Coarse }

/// <summary>Draws cases. Every real is exactly a float, so that all arithmetics start from the same numbers.</summary>
public sealed class Draw(Random random, Temper temper = Temper.Calm)
{
    public Temper Temper => temper;

    /// <summary>The same source of numbers with another temper.</summary>
    public Draw With(Temper other) => new(random, other);

    /// <summary>For ops whose answer to infinities and NaN depends on the order of their work.</summary>
    public Draw Finite => temper == Temper.Special ? With(Temper.Wide) : this;

    public int Between(int low, int high) => random.Next(low, high + 1);
    public bool Coin() => random.Next(2) == 0;
    public T One<T>(params ReadOnlySpan<T> of) => of[random.Next(of.Length)];

    public double Real()
    {
        if (temper == Temper.Coarse) return Between(-16, 16) / 8.0;
        var calm = (double)(float)((random.NextDouble() * (2 - 1.0 / 64) + 1.0 / 64) * (Coin() ? 1 : -1));
        if (temper == Temper.Calm) return calm;
        return random.Next(temper == Temper.Wide ? 14 : 18) switch
        {
            0 => 0.0,
            1 => -0.0,
            2 => (float)(calm * float.Epsilon * 64),
            3 or 4 or 5 => Math.ScaleB(calm, Between(-24, 24)),
            14 => double.PositiveInfinity,
            15 => double.NegativeInfinity,
            16 => double.NaN,
            17 => calm > 0 ? float.MaxValue : -float.MaxValue,
            _ => calm,
        };
    }

    public double[] Reals(int count) => Many(count, Real);

    /// <summary>Numbers in [2⁻⁶, 2), for variances.</summary>
    public double[] Positive(int count) => Many(count, () => Math.Abs(With(Temper.Calm).Real()));

    public int[] Indices(int count, int below, int nothing) => Many(count, () => below == 0 || random.Next(8) == 0 ? nothing : random.Next(below));

    /// <summary>Ascending offsets 0 … rows of <paramref name="groups"/> groups, some of them empty.</summary>
    public int[] Offsets(int groups, int rows) => [0, .. Many(groups - 1, () => random.Next(rows + 1)).Order(), rows];

    public OpInput Input(string name, int rows, int columns, int batch = 0) =>
        new(name, rows, columns, Reals(rows * columns)) { Differentiable = true, Batch = batch };
    public OpInput Constant(string name, int rows, int columns, int batch = 0) => Input(name, rows, columns, batch) with { Differentiable = false };

    /// <summary>Rows of a sequence for ops that sum over tokens: none, one, a few, some that do not divide the rows, all.</summary>
    public int Sequence(int rows) => One(0, 1, 3, Math.Max(1, rows / 2), Math.Max(1, rows - 1), Math.Max(1, rows));

    /// <summary>A matrix that the op changes in place.</summary>
    public OpOutput Updated(string name, int rows, int columns, double[] initial) =>
        new(name, rows, columns) { Mode = OutputMode.Updated, Saved = true, Initial = initial };

    /// <summary>Old values and cotangents for whatever has none yet.</summary>
    public OpCase Complete(OpCase drawn, bool accumulate, int padding)
    {
        var calm = temper == Temper.Coarse ? this : With(Temper.Calm);
        return drawn with
        {
            Accumulate = accumulate,
            Padding = padding,
            Inputs = [.. drawn.Inputs.Select(input => input with { OldGradient = calm.Reals(input.Count) })],
            Outputs = [.. drawn.Outputs.Select(output => output with
            {
                Initial = output.Initial.Length == output.Count ? output.Initial : calm.Reals(output.Count),
                Cotangent = calm.Reals(output.Count),
            })],
        };
    }

    static T[] Many<T>(int count, Func<T> draw)
    {
        var values = new T[count];
        for (var i = 0; i < count; i++) values[i] = draw();
        return values;
    }
}
