using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>
/// How far float32's rounding spreads through a long computation: the same computation several times, each operation disturbed by up to a unit at random
/// (<see cref="IDisturbs"/>). A library's run is one draw more. A number may lie off by <see cref="Width"/> times the farthest of its own draws, or the root
/// mean square of all draws of its tensor where that is more: of right numbers less than one in a million lies beyond, of most tensors far fewer.
/// </summary>
public static class Spread
{
    /// <summary>Draws, and how many times their spread is allowed.</summary>
    public const int Draws = 8, Width = 8;

    /// <summary>Bounds around numbers from draws of the same tensor.</summary>
    public static double[] Around(double[] expected, IReadOnlyList<double[]> draws)
    {
        var bounds = new double[expected.Length];
        var squares = 0.0;
        foreach (var draw in draws)
            for (var i = 0; i < bounds.Length; i++)
            {
                var off = draw[i] == expected[i] || double.IsNaN(draw[i]) && double.IsNaN(expected[i]) ? 0 : Math.Abs(draw[i] - expected[i]);
                bounds[i] = Math.Max(bounds[i], off);
                squares += off * off;
            }
        var mean = Math.Sqrt(squares / Math.Max(1, (long)draws.Count * bounds.Length));
        for (var i = 0; i < bounds.Length; i++) bounds[i] = double.IsNaN(mean) ? double.PositiveInfinity : Width * Math.Max(bounds[i], mean);
        return bounds;
    }

    /// <summary>Tensors of a computation on an exact model, with bounds from the disturbed one.</summary>
    public static IReadOnlyList<Numbers> Of(CheckedPair pair, Func<ICheckedModel, IReadOnlyList<double[]>> compute)
    {
        var expected = compute(pair.Exact);
        var draws = new List<IReadOnlyList<double[]>>();
        for (var run = 0; run < Draws; run++)
        {
            pair.Begin(run);
            draws.Add(compute(pair.Disturbed));
        }
        return [.. expected.Select((values, n) => new Numbers(values, Around(values, [.. draws.Select(d => d[n])])))];
    }
}

/// <summary>One model twice: in double, and disturbed.</summary>
public sealed record CheckedPair(ICheckedModel Exact, ICheckedModel Disturbed)
{
    /// <summary>Draws of a further run.</summary>
    public void Begin(int run) => ((IDisturbs)Disturbed.Tape.Backend).Begin(run);
}

/// <summary>The backends that checks compute on.</summary>
/// <param name="Bounded">Its numbers carry error bounds.</param>
/// <param name="Exact">In double.</param>
/// <param name="Disturbed">Loses a unit of float32 at random.</param>
public sealed record CheckBackends(Func<IBackend> Bounded, Func<IBackend> Exact, Func<IBackend> Disturbed);
