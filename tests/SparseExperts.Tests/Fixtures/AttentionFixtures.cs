using SparseExperts.Ops;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Fixtures;

/// <summary>Attention and rotary fixtures: [B, H, S, d] there, [B·S, H·d] here.</summary>
static class AttentionFixtures
{
    public static void Attention(Fixture fixture) => FixtureCall.Compare(fixture, Attention<Float64>(fixture), Attention<Tracked>(fixture));

    public static void Rotary(Fixture fixture) => FixtureCall.Compare(fixture, Rotary<Float64>(fixture), Rotary<Tracked>(fixture));

    public static Dictionary<string, T[]> Attention<T>(Fixture fixture) where T : struct, IReal<T>
    {
        using var backend = new ScalarBackend<T>();
        var layout = new HeadLayout<T>(backend, fixture, "in.q");
        var (b, h, s, d) = layout.Dims;
        var shape = AttentionShape.OfSelf(b, s, h, d, fixture.Number("scale"), fixture.Flag("causal"));
        Matrix q = layout.Upload("in.q"), k = layout.Upload("in.k"), v = layout.Upload("in.v"), dy = layout.Upload("cot.y");
        Matrix y = backend.Rent(b * s, h * d), saved = backend.Rent(shape.ScoreRows, s);
        Matrix dq = backend.Rent(b * s, h * d), dk = backend.Rent(b * s, h * d), dv = backend.Rent(b * s, h * d);
        Matrix? bias = fixture.Has("in.bias") ? layout.Plain("in.bias", h * s, s) : null, pad = fixture.Has("in.pad") ? layout.Plain("in.pad", b, s) : null;
        Matrix? dBias = bias is null ? null : backend.Rent(h * s, s);
        if (dBias is { } empty) backend.Fill(empty, 0);

        backend.Attention(shape, q, k, v, new(bias, pad), saved, y);
        backend.AttentionBackward(shape, q, k, v, new(bias, pad), saved, y, dy, dq, false, dk, false, dv, false, dBias, null);

        var results = new Dictionary<string, T[]>
        {
            ["out.y"] = layout.Download(y),
            ["grad.q"] = layout.Download(dq),
            ["grad.k"] = layout.Download(dk),
            ["grad.v"] = layout.Download(dv),
        };
        if (dBias is { } gradient && fixture.Has("grad.bias")) results["grad.bias"] = backend.Elements(gradient);
        return results;
    }

    static Dictionary<string, T[]> Rotary<T>(Fixture fixture) where T : struct, IReal<T>
    {
        Assert.Equal("rotate_half", fixture.Text("layout"));
        using var backend = new ScalarBackend<T>();
        var results = new Dictionary<string, T[]>();
        foreach (var name in new[] { "q", "k" })
        {
            var layout = new HeadLayout<T>(backend, fixture, $"in.{name}");
            var (b, h, s, d) = layout.Dims;
            var tables = RotaryTables.Create(backend, s, d, fixture.Number("base"));
            Matrix y = backend.Rent(b * s, h * d), dx = backend.Rent(b * s, h * d);
            backend.Rotary(layout.Upload($"in.{name}"), tables.Cosines, tables.Sines, d, false, y, false);
            backend.Rotary(layout.Upload($"cot.{name}"), tables.Cosines, tables.Sines, d, true, dx, false);
            results[$"out.{name}"] = layout.Download(y);
            results[$"grad.{name}"] = layout.Download(dx);
        }
        return results;
    }

    /// <summary>Moves between [B, H, S, d] and [B·S, H·d].</summary>
    sealed class HeadLayout<T>(ScalarBackend<T> backend, Fixture fixture, string name) where T : struct, IReal<T>
    {
        readonly int[] _shape = fixture.Shape(name);

        public (int B, int H, int S, int D) Dims => (_shape[0], _shape[1], _shape[2], _shape[3]);

        int Place(int i)
        {
            var (_, h, s, d) = Dims;
            int inner = i % d, position = i / d % s, head = i / d / s % h, sequence = i / d / s / h;
            return (sequence * s + position) * h * d + head * d + inner;
        }

        public Matrix Upload(string tensor)
        {
            var (b, h, s, d) = Dims;
            var recorded = fixture.Doubles(tensor);
            var moved = new double[recorded.Length];
            for (var i = 0; i < recorded.Length; i++) moved[Place(i)] = recorded[i];
            return Plain(moved, b * s, h * d);
        }

        /// <summary>A mask may hold the lowest double; −10³⁰ masks as exactly (e to it is 0) and lies within float32, where error bounds are defined.</summary>
        public Matrix Plain(string tensor, int rows, int columns) => Plain([.. fixture.Doubles(tensor).Select(x => Math.Max(x, -1e30))], rows, columns);

        Matrix Plain(double[] values, int rows, int columns)
        {
            var matrix = backend.Rent(rows, columns);
            backend.Write(matrix, values);
            return matrix;
        }

        public T[] Download(Matrix matrix)
        {
            var values = backend.Elements(matrix);
            return [.. Enumerable.Range(0, values.Length).Select(i => values[Place(i)])];
        }
    }
}
