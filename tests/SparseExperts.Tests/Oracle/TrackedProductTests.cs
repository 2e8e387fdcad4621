using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>The product that checks spend their time in against the chain of <see cref="Tracked.Fma"/> that defines it.</summary>
public sealed class TrackedProductTests
{
    static Tracked[] Numbers(int count, int seed, double error)
    {
        var stream = new RandomStream((ulong)seed, 0);
        double Error(int i) => i % 3 == 0 ? 0 : error * Philox.UniformDouble(stream, (ulong)(i + count));
        return [.. Enumerable.Range(0, count).Select(i => new Tracked(Philox.Normal(stream, (ulong)i), Error(i)))];
    }

    static Matrix Put(ScalarBackend<Tracked> backend, Tracked[] numbers, int rows, int columns)
    {
        var matrix = backend.Rent(rows, columns);
        backend.WriteErrors(matrix, Array.ConvertAll(numbers, n => n.Value), Array.ConvertAll(numbers, n => n.Error));
        return matrix;
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 5, 7)]
    [InlineData(2, 64, 31)]
    [InlineData(5, 33, 32)]
    [InlineData(4, 17, 33)]
    [InlineData(70, 129, 130)]
    public void Values_are_the_same_bits_and_bounds_are_those_of_the_chain(int rows, int depth, int columns)
    {
        using var backend = new ScalarBackend<Tracked>();
        Tracked[] a = Numbers(rows * depth, 1, 1e-6), b = Numbers(depth * columns, 2, 1e-6), start = Numbers(rows * columns, 3, 1e-6);
        (bool, bool, bool)[] forms = [(false, false, false), (true, false, true), (false, true, true), (true, true, false)];
        foreach (var (transposeA, transposeB, accumulate) in forms)
        {
            var c = Put(backend, start, rows, columns);
            var left = transposeA ? Put(backend, a, depth, rows) : Put(backend, a, rows, depth);
            var right = transposeB ? Put(backend, b, columns, depth) : Put(backend, b, depth, columns);
            backend.Gemm(left, transposeA, right, transposeB, c, accumulate);
            var result = backend.Elements(c);
            for (var i = 0; i < rows; i++)
                for (var j = 0; j < columns; j++)
                {
                    var sum = accumulate ? start[i * columns + j] : default;
                    Tracked A(int k) => transposeA ? a[k * rows + i] : a[i * depth + k];
                    Tracked B(int k) => transposeB ? b[j * depth + k] : b[k * columns + j];
                    for (var k = 0; k < depth; k++) sum = Tracked.Fma(A(k), B(k), sum);
                    Assert.Equal(sum.Value, result[i * columns + j].Value);
                    Assert.Equal(sum.Error, result[i * columns + j].Error, sum.Error * depth * 4e-16);       // a few roundings of a double for every term
                }
        }
    }

    [Fact]
    public void A_sum_that_may_leave_float32_has_no_bound_and_a_NaN_stays_one()
    {
        using var backend = new ScalarBackend<Tracked>();
        var c = backend.Rent(1, 3);
        Tracked big = new(3e38, 0), one = new(1, 0);
        // 3e38 + 3e38 − 3e38 fits again at the end, but not on the way.
        var left = Put(backend, [one, one, new(-1, 0)], 1, 3);
        var right = Put(backend, [big, one, one, big, one, new(double.NaN, 0), big, one, one], 3, 3);
        backend.Gemm(left, false, right, false, c, false);
        var result = backend.Elements(c);
        Assert.Equal(double.PositiveInfinity, result[0].Error);
        Assert.Equal(0, result[1].Error);                                                   // 1 + 1 − 1 is exact in any order
        Assert.True(double.IsNaN(result[2].Value));
    }
}
