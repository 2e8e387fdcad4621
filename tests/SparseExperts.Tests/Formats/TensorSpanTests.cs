using System.Numerics.Tensors;
using SparseExperts.Cpu;
using SparseExperts.Formats;
using Xunit;

namespace SparseExperts.Tests.Formats;

public sealed class TensorSpanTests
{
    [Fact]
    public void Tensors_of_any_strides_go_in_and_out_by_place()
    {
        using var backend = new CpuBackend(1);
        float[] numbers = [.. Enumerable.Range(0, 24).Select(i => (float)i)];
        // [2, 3, 4] as it lies; its first and last dimensions exchanged: [4, 3, 2] with strides [1, 4, 12].
        ReadOnlyTensorSpan<float> plain = new(numbers, [2, 3, 4]), turned = new(numbers, [4, 3, 2], [1, 4, 12]);
        var matrix = backend.Rent(6, 9).ColumnRange(2, 4);
        backend.Write(matrix, plain);
        Assert.Equal(numbers, backend.ToArray(matrix));
        var narrow = backend.Rent(12, 2);
        backend.Write(narrow, turned);
        var expected = from c in Enumerable.Range(0, 4) from b in Enumerable.Range(0, 3) from a in Enumerable.Range(0, 2) select (float)(a * 12 + b * 4 + c);
        Assert.Equal(expected, backend.ToArray(narrow));

        var back = new float[24];
        backend.Read(narrow, new TensorSpan<float>(back, [4, 3, 2], [1, 4, 12]));
        Assert.Equal(numbers, back);
    }

    [Fact]
    public void A_tensor_of_another_shape_is_refused()
    {
        using var backend = new CpuBackend(1);
        var error = Assert.Throws<ShapeException>(() => backend.Write(backend.Rent(3, 4), new ReadOnlyTensorSpan<float>(new float[12], [4, 3])));
        Assert.Equal("Write: a tensor of [4, 3] for a 3×4 matrix; give one whose last dimension is its columns", error.Message);
    }

    /// <summary>Rounding to nearest even, signed zeros, subnormals, infinities and NaN, in vectors and behind their end.</summary>
    [Fact]
    public void Doubles_are_rounded_as_a_cast_rounds_them()
    {
        using var backend = new CpuBackend(1);
        double[] values =
        [
            0, -0.0, 1 + Math.ScaleB(1, -24), 1 + 3 * Math.ScaleB(1, -24), -1 - Math.ScaleB(1, -24), 3.5e38, -3.5e38,
            double.NaN, double.PositiveInfinity, double.Epsilon, 1e-45, 0.7e-45, -1.1e-40,
            .. Enumerable.Range(0, 1000).Select(i => (Philox.UniformDouble(new(4, 0), (ulong)i) - 0.5) * Math.ScaleB(1, i % 300 - 160)),
        ];
        var matrix = backend.Rent(1, values.Length);
        backend.Write(matrix, (ReadOnlySpan<double>)values);
        Assert.Equal(values.Select(v => BitConverter.SingleToInt32Bits((float)v)), backend.ToArray(matrix).Select(BitConverter.SingleToInt32Bits));
        Assert.Equal(values.Select(v => (double)(float)v), backend.ToDoubles(matrix));
    }
}
