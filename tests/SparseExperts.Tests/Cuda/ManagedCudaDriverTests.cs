using System.Runtime.InteropServices;
using SparseExperts.Cuda;
using Xunit;

namespace SparseExperts.Tests.Cuda;

/// <summary>The adapter against C functions that work in host memory: every call with the right arguments. Where no C compiler is, nothing is tested.</summary>
public sealed class ManagedCudaDriverTests
{
    /// <summary>A kernel as the stub knows it: address, 32-bit count, a float that must be 1.5, 64-bit count.</summary>
    static readonly byte[] Module = System.Text.Encoding.ASCII.GetBytes("""
        .version 6.3
        .target sm_70
        .visible .entry nothing()
        { ret; }
        .visible .entry double_words(
            .param .u64 double_words_param_0,
            .param .u32 double_words_param_1,
            .param .f32 double_words_param_2,
            .param .u64 double_words_param_3
        )
        { ret; }
        """);

    [Fact]
    public void The_device_is_described_in_its_own_words()
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        Assert.Equal(new("Stub", 9, 0, 132, 1024, 232448, 80L << 30, "12.8", "not loaded"), driver.Device);
        Assert.Equal((70L << 30, 80L << 30), driver.Memory());
        Assert.Equal(new(true, "Stub, compute capability 9.0, driver for CUDA 12.8"), ManagedCudaDriver.Probe());
    }

    [Theory]
    [InlineData(4)]
    [InlineData(1000)]
    [InlineData(20_000_000)]
    public void What_is_uploaded_comes_back(int bytes)
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var (stream, other) = (driver.CreateStream(), driver.CreateStream());
        var (here, there) = (driver.Allocate(bytes), driver.Allocate(bytes));
        var (sent, read) = (new byte[bytes], new byte[bytes]);
        new Random(bytes).NextBytes(sent);
        for (var repeat = 0; repeat < 20; repeat++) driver.CopyToDevice(here, sent, repeat % 3 == 0 ? other : stream);
        driver.CopyOnDevice(there, here, bytes, stream);
        driver.CopyToHost(read, there, stream);
        Assert.Equal(sent, read);
        driver.Set(here, 0x01020304, bytes / 4, stream);
        driver.CopyToHost(read, here, stream);
        Assert.Equal([4, 3, 2, 1], read[^4..]);
        foreach (var s in (CudaStream[])[stream, other]) driver.DestroyStream(s);
        driver.Free(here);
        driver.Free(there);
    }

    [Fact]
    public void A_kernel_gets_its_arguments_and_another_thread_may_launch_it()
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var stream = driver.CreateStream();
        var function = driver.Function(driver.LoadModule("module", Module), "double_words");
        var memory = driver.Allocate(12);
        driver.CopyToDevice(memory, MemoryMarshal.AsBytes<int>([1, 2, 3]), stream);
        driver.Launch(function, new(1, 1, 1, 32), [memory, 3, 1.5f, 3L], stream);
        Exception? failed = null;
        var thread = new Thread(() => failed = Record.Exception(() => driver.Launch(function, new(1, 1, 1, 32, 1, 100_000), [memory, 3, 1.5f, 3L], stream)));
        thread.Start();
        thread.Join();
        Assert.Null(failed);
        Assert.Equal([4, 8, 12], Integers(driver, memory, 3, stream));
        driver.Launch(driver.Function(driver.LoadModule("again", Module), "nothing"), new(1, 1, 1, 32), [], stream);
    }

    [Fact]
    public void Faults_say_the_call_the_drivers_words_and_what_to_do()
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var stream = driver.CreateStream();
        var function = driver.Function(driver.LoadModule("module", Module), "double_words");
        var memory = driver.Allocate(12);
        void Launch(params KernelArgument[] arguments) => driver.Launch(function, new(1, 1, 1, 32), arguments, stream);
        Faults("double_words: takes 4 arguments, 1 were given", () => Launch(memory));
        Faults("double_words: argument 1 is Int64, the kernel takes a Word there", () => Launch(memory, 3L, 1.5f, 3L));
        Faults("double_words: argument 2 is Int32, the kernel takes a Float there", () => Launch(memory, 3, 1, 3L));
        Faults(
            "cuLaunchKernel of double_words (1x1x1 blocks of 2048 threads, 0 bytes shared): CUDA_ERROR_OTHER 1 (some words); an argument is wrong",
            () => driver.Launch(function, new(1, 1, 1, 2048), [memory, 3, 1.5f, 3L], stream));
        Faults(
            "cuMemAlloc of 97656250 MiB (71680 MiB of 81920 MiB are free): CUDA_ERROR_OUT_OF_MEMORY 2 (out of memory); use a smaller",
            () => driver.Allocate(102_400_000_000_000));
        Faults(
            "cuModuleLoadData of bad.ptx (ptxas application.ptx, line 3; fatal no such thing): CUDA_ERROR_INVALID_PTX 218 (some words); the driver cannot use",
            () => driver.LoadModule("bad.ptx", ".visible .entry broken()"u8.ToArray()));
        Faults("kernel k has a parameter of type .u16", () => driver.LoadModule("bad.ptx", ".visible .entry k(.param .u16 x)"u8.ToArray()));
    }

    [Fact]
    public void Events_order_streams_and_measure()
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var (stream, other) = (driver.CreateStream(), driver.CreateStream());
        var (from, to) = (driver.CreateEvent(), driver.CreateEvent());
        driver.Record(from, stream);
        driver.Wait(other, from);
        driver.Record(to, other);
        Assert.Equal(2.5, driver.Milliseconds(from, to));
        driver.DestroyEvent(from);
        driver.DestroyEvent(to);
    }

    /// <summary>The caller's memory may change after an upload that was recorded, too: a replay sends what was given then.</summary>
    [Fact]
    public void Recorded_work_runs_at_each_launch()
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var stream = driver.CreateStream();
        var function = driver.Function(driver.LoadModule("module", Module), "double_words");
        var memory = driver.Allocate(12);
        int[] values = [1, 2, 3];
        driver.CopyToDevice(memory, MemoryMarshal.AsBytes<int>([7, 7, 7]), stream);
        driver.BeginCapture(stream);
        driver.CopyToDevice(memory, MemoryMarshal.AsBytes<int>(values), stream);
        driver.Launch(function, new(1, 1, 1, 32), [memory, 3, 1.5f, 3L], stream);
        values.AsSpan().Clear();
        var graph = driver.EndCapture(stream);
        Assert.Equal([7, 7, 7], Integers(driver, memory, 3, stream));
        for (var repeat = 0; repeat < 3; repeat++) driver.Launch(graph, stream);
        Assert.Equal([2, 4, 6], Integers(driver, memory, 3, stream));
        driver.DestroyGraph(graph);
        Faults("cuStreamEndCapture: CUDA_ERROR_OTHER 901", () => driver.EndCapture(stream));
    }

    [Fact]
    public void Launches_of_a_graph_can_be_changed()
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var stream = driver.CreateStream();
        var function = driver.Function(driver.LoadModule("module", Module), "double_words");
        var memory = driver.Allocate(12);
        KernelLaunch First(int count) => new(function, new(1, 1, 1, 32), [memory, count, 1.5f, (long)count]);
        driver.CopyToDevice(memory, MemoryMarshal.AsBytes<int>([1, 1, 1]), stream);
        var graph = driver.CreateGraph([First(3), First(2)]);
        Assert.Equal([1, 1, 1], Integers(driver, memory, 3, stream));
        driver.Launch(graph, stream);
        Assert.Equal([4, 4, 2], Integers(driver, memory, 3, stream));
        driver.Change(graph, 1, First(1));
        driver.Launch(graph, stream);
        Assert.Equal([16, 8, 4], Integers(driver, memory, 3, stream));
        Faults("argument 1 is Int64", () => driver.Change(graph, 0, First(1) with { Arguments = [memory, 1L, 1.5f, 1L] }));
        driver.DestroyGraph(graph);
    }

    [Theory]
    [InlineData(ProductPrecision.Float32)]
    [InlineData(ProductPrecision.Tf32)]
    [InlineData(ProductPrecision.BFloat16)]
    public void Products_reach_cublas(ProductPrecision precision)
    {
        if (!StubLibraries.Use()) return;
        using var driver = new ManagedCudaDriver();
        var stream = driver.CreateStream();
        var memory = driver.Allocate(4 * 300);
        var (a, b, c) = (memory, memory + 400, memory + 800);
        driver.CopyToDevice(memory, MemoryMarshal.AsBytes<float>([.. Enumerable.Range(0, 300).Select(i => (float)(i % 7))]), stream);
        GemmCall call = new(true, false, 2, 3, 4, 1, a, 4, b, 4, 0, c, 2, precision);
        driver.Gemm(call, stream);
        Assert.Equal("12.8.4", driver.Device.Cublas);
        var alone = Floats(driver, c, 12, stream);
        Assert.Equal([.. Expected(0), 3, 4, 5, 6, 0, 1], alone);

        driver.Set(c, 0, 100, stream);
        driver.GemmGrouped([call, call with { M = 0 }, call with { A = a + 4, B = b + 8, C = c + 24 }], stream);
        Assert.Equal([.. Expected(0), .. Expected(1, 2)], Floats(driver, c, 12, stream));

        var table = driver.Allocate(6 * sizeof(ulong));
        driver.CopyToDevice(table, MemoryMarshal.AsBytes<ulong>([a.Address, a.Address + 4, b.Address, b.Address + 8, c.Address, c.Address + 24]), stream);
        driver.Set(c, 0, 100, stream);
        driver.GemmBatched(call with { A = table, B = table + 16, C = table + 32 }, 2, stream);
        Assert.Equal([.. Expected(0), .. Expected(1, 2)], Floats(driver, c, 12, stream));
        driver.DestroyStream(stream);

        float[] Expected(int shiftA, int shiftB = 0)
        {
            static float At(int i) => i % 7;
            var product = new float[6];
            for (var i = 0; i < 2; i++)
                for (var j = 0; j < 3; j++)
                    for (var x = 0; x < 4; x++) product[i + 2 * j] += At(shiftA + x + 4 * i) * At(100 + shiftB + x + 4 * j);
            return product;
        }
    }

    static int[] Integers(ManagedCudaDriver driver, DevicePointer from, int count, CudaStream stream)
    {
        var values = new int[count];
        driver.CopyToHost(MemoryMarshal.AsBytes(values.AsSpan()), from, stream);
        return values;
    }

    static float[] Floats(ManagedCudaDriver driver, DevicePointer from, int count, CudaStream stream)
    {
        var values = new float[count];
        driver.CopyToHost(MemoryMarshal.AsBytes(values.AsSpan()), from, stream);
        return values;
    }

    static void Faults(string expected, Action action)
    {
        var fault = Assert.Throws<CudaFault>(action);
        Assert.Contains(expected, fault.Message);
        Assert.DoesNotContain('\n', fault.Message);
    }
}
