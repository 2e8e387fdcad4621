using Xunit;

namespace SparseExperts.Cuda.Emulator.Tests;

/// <summary>Some shipped kernels, and that the emulator knows every instruction of all of them.</summary>
public class ShippedCudaKernelTests
{
    public static TheoryData<string> Files =>
        [.. typeof(CudaBackend).Assembly.GetManifestResourceNames().Where(n => n.EndsWith(".ptx", StringComparison.Ordinal)).Order()];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_shipped_file_is_understood(string file)
    {
        using var device = new Device();
        using var stream = typeof(CudaBackend).Assembly.GetManifestResourceStream(file)!;
        var text = new byte[stream.Length];
        stream.ReadExactly(text);
        device.Driver.LoadModule(file, text);
    }

    [Theory]
    [InlineData(ThreadOrder.Ascending)]
    [InlineData(ThreadOrder.Descending)]
    [InlineData(ThreadOrder.Drawn)]
    public void Fill_and_copy(ThreadOrder order)
    {
        using var device = new Device(new() { Order = order, Seed = 3 });
        var (x, y) = (device.Put(new float[7 * 100]), device.Put(new float[7 * 60]));
        device.Run(device.Shipped("memory.ptx", "fill"), new(2, 1, 1, 256), x + 8, 100, 7, 51, 2.5f);
        device.Run(device.Shipped("memory.ptx", "copy"), new(2, 1, 1, 256), x, 100, y, 60, 7, 60);
        var read = device.Get<float>(y, 7 * 60);
        for (var i = 0; i < read.Length; i++) Assert.Equal(i % 60 is >= 2 and < 53 ? 2.5f : 0, read[i]);
    }

    [Fact]
    public void Join_blocks_adds_the_upper_to_the_lower()
    {
        using var device = new Device();
        float[] parts = [1, 2, 10, 20, 100, 200, 1e8f, 4];
        var (y, joins) = (device.Put(5f, 6f), device.Put(0, 1, 0, 2));
        device.Run(device.Shipped("sums.ptx", "join_blocks"), new(1, 1, 1, 256), y, 2, 1, 2, device.Put(parts), 2L, joins, 4, true);
        Assert.Equal([1 + 10 + (100 + 1e8f) + 5, 2 + 20 + (200 + 4f) + 6], device.Get<float>(y, 2));
    }

    [Fact]
    public void A_fault_that_is_planted_in_a_kernel_that_ships_is_found()
    {
        using var device = new Device(new() { Rewrite = (_, text) => text.Replace("setp.ge.s32", "setp.gt.s32") });
        var kernel = device.Shipped("memory.ptx", "fill");
        var message = Assert.Throws<CudaFault>(() => device.Run(kernel, new(1, 1, 1, 64), device.Put(new float[60]), 60, 1, 60, 1f)).Message;
        Assert.Contains("kernel fill, block (0, 0, 0), thread (60, 0), memory.ptx line ", message);
        Assert.Contains("out of bounds: 4 bytes at 240", message);
    }
}
