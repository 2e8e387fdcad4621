using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>What narrow storages take, and what crosses between host and backend.</summary>
public sealed class FormatTests
{
    const int Length = 1 << 20;

    [Theory]
    [InlineData(ElementType.Real, 4)]
    [InlineData(ElementType.BFloat16, 2)]
    [InlineData(ElementType.Float16, 2)]
    public void Numbers_take_the_bytes_of_their_format_on_a_device(ElementType type, int bytes)
    {
        using var driver = new EmulatedDriver(new EmulatorOptions());
        using var backend = new CudaBackend(driver);
        var before = driver.Memory().Free;
        backend.Rent(type, Length);
        Assert.Equal(bytes * Length, before - driver.Memory().Free);
    }

    [Theory]
    [InlineData(ElementType.Real, 4)]
    [InlineData(ElementType.BFloat16, 2)]
    [InlineData(ElementType.Float16, 2)]
    public void Numbers_take_the_bytes_of_their_format_in_the_definition(ElementType type, int bytes)
    {
        const int length = Length << 4;                       // more than the runtime's pool has lying about
        using var backend = new ScalarBackend<Float32>();
        var before = GC.GetAllocatedBytesForCurrentThread();
        backend.Rent(type, length);                           // not given back: nobody else shall get it
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, (long)bytes * length, (long)bytes * length + 4096);
    }

    public static TheoryData<string> Backends => ["cpu", "scalar", "cuda"];

    static IBackend Create(string name) => name switch
    {
        "cpu" => new CpuBackend(1),
        "scalar" => new ScalarBackend<Float32>(),
        _ => new CudaBackend(new EmulatedDriver(new EmulatorOptions())),
    };

    [Theory, MemberData(nameof(Backends))]
    public void What_the_host_writes_is_rounded_once(string name)
    {
        using var backend = Create(name);
        foreach (var type in (ElementType[])[ElementType.BFloat16, ElementType.Float16])
        {
            double[] tie = [1 + 1 / 256.0, 1 + 1 / 256.0 + 1e-12, 1 + 1 / 2048.0, 1 + 1 / 2048.0 + 1e-12, 1e6, -1e39, double.NaN, 1e-7, -0.0];
            var matrix = backend.Rent(3, 3, type);
            backend.Write(matrix, (ReadOnlySpan<double>)tie);
            Assert.Equal(Array.ConvertAll(tie, x => Rounding.To(type.Format(), x)), backend.ToDoubles(matrix));

            var floats = Array.ConvertAll(tie, x => (float)x);
            backend.Write(matrix, floats);
            Assert.Equal(Array.ConvertAll(floats, x => (float)Rounding.To(type.Format(), x)), backend.ToArray(matrix));
        }
    }

    [Theory, MemberData(nameof(Backends))]
    public void A_format_that_an_op_does_not_take_is_one_line_with_op_operand_format_and_remedy(string name)
    {
        using var backend = Create(name);
        Matrix real = backend.Rent(2, 3), narrow = backend.Rent(2, 3, ElementType.BFloat16);
        Assert.Equal("Multiply: b holds BFloat16, the op takes Real; Cast it to a matrix of Real first",
            Assert.Throws<ShapeException>(() => backend.Multiply(real, narrow, real, false)).Message);
    }

    /// <summary>What is narrow is found in the pool by bytes, and what comes of it has the length that was asked for.</summary>
    [Theory, MemberData(nameof(Backends))]
    public void Memory_that_was_narrow_serves_as_reals_afterwards(string name)
    {
        using var backend = Create(name);
        var narrow = backend.Rent(ElementType.BFloat16, 256);
        backend.Return(narrow);
        foreach (var (type, length) in (ValueTuple<ElementType, int>[])
            [(ElementType.Real, 128), (ElementType.Integer, 128), (ElementType.Float16, 256), (ElementType.Real, 256)])
        {
            var storage = backend.Rent(type, length);
            Assert.Equal((type, length), (storage.Type, storage.Length));
            if (type == ElementType.Integer) backend.Write(storage, 0, new int[length]);
            else backend.Write(storage, 0, new float[length]);
            backend.Return(storage);
        }
    }
}
