using SparseExperts.Ops;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Fixtures;

/// <summary>Attention and rotary fixtures: [B, H, S, d] there, [B·S, H·d] here.</summary>
static class AttentionFixtures
{
    const double ToDouble = 4.0 / (1 << 29);

    public static void Attention(Fixture fixture)
    {
        var (exact, bounds) = (Run<Float64>(fixture), Run<Tracked>(fixture));
        foreach (var name in exact.Keys) Compare(name, Doubles(fixture, name), exact[name], bounds[name]);
    }

    static Dictionary<string, T[]> Run<T>(Fixture fixture) where T : struct, IReal<T>
    {
        using var backend = new ScalarBackend<T>();
        var dims = fixture.Shape("in.q");
        int b = dims[0], h = dims[1], s = dims[2], d = dims[3];
        var shape = new AttentionShape(b, s, h, d, 1, fixture.Flag("causal"));
        Matrix Upload(string name, int rows, int columns)
        {
            var matrix = backend.Rent(rows, columns);
            backend.Write(matrix, Doubles(fixture, name));
            return matrix;
        }
        Matrix New(int rows, int columns)
        {
            var matrix = backend.Rent(rows, columns);
            backend.Fill(matrix, 0);
            return matrix;
        }

        // The contract's scale is a float; a recorded double scale goes into Q instead, and back into its gradient.
        Matrix q = Upload("in.q", b * s, h * d), k = Upload("in.k", b * s, h * d), v = Upload("in.v", b * s, h * d);
        var scale = Scalar(backend, fixture.Number("scale"));
        backend.Gemm(Reshaped(q), false, scale, false, Reshaped(q = New(b * s, h * d)) , false);
        throw new NotSupportedException();
    }

    static Matrix Reshaped(Matrix m) => m.Reshape((int)m.Count, 1);

    static Matrix Scalar<T>(ScalarBackend<T> backend, double value) where T : struct, IReal<T>
    {
        var matrix = backend.Rent(1, 1);
        backend.Write(matrix, [value]);
        return matrix;
    }

    static double[] Doubles(Fixture fixture, string name) => fixture.Doubles(name);

    static void Compare<T>(string name, double[] expected, T[] exact, Tracked[] bounds) where T : struct, IReal<T>
    {
        Assert.Equal(expected.Length, exact.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - exact[i].Value) <= bounds[i].Error * ToDouble + double.Epsilon, $"{name}[{i}]: {exact[i].Value:R}, recorded {expected[i]:R}");
    }
}
