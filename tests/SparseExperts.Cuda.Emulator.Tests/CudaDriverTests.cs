using System.Runtime.InteropServices;
using Xunit;

namespace SparseExperts.Cuda.Emulator.Tests;

/// <summary>Streams, events, graphs, products and memory of the emulated driver.</summary>
public class CudaDriverTests
{
    const string Increment = """
        ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
        ld.global.u32 %r2, [%rd1]; add.s32 %r2, %r2, 1; st.global.u32 [%rd1], %r2;
        """;

    [Fact]
    public void Nothing_runs_before_somebody_waits()
    {
        using var device = new Device();
        var (kernel, x) = (device.Kernel("u64", Increment), device.Put(5, 6));
        device.Driver.Launch(kernel, new(1, 1, 1, 2), [x], device.Stream);
        Assert.Empty(device.Driver.Counters.Launches);
        Assert.Equal([6, 7], device.Get<int>(x, 2));
        Assert.Equal(1, device.Driver.Counters.Launches["test"]);
    }

    [Fact]
    public void The_host_may_change_its_bytes_at_once()
    {
        using var device = new Device();
        int[] values = [1, 2];
        var x = device.Allocate(2);
        device.Driver.CopyToDevice(x, MemoryMarshal.AsBytes(values.AsSpan()), device.Stream);
        values[0] = 9;
        Assert.Equal([1, 2], device.Get<int>(x, 2));
    }

    [Fact]
    public void A_stream_waits_for_an_event_and_for_nothing_else()
    {
        using var device = new Device();
        var driver = device.Driver;
        var (kernel, x, y) = (device.Kernel("u64", Increment), device.Put(1), device.Allocate(1));
        driver.Synchronize(device.Stream);
        var (other, mark) = (driver.CreateStream(), driver.CreateEvent());
        driver.Launch(kernel, new(1, 1, 1, 1), [x], other);
        driver.Record(mark, other);
        driver.Launch(kernel, new(1, 1, 1, 1), [x], other);
        Assert.Equal([1], device.Get<int>(x, 1));
        driver.Wait(device.Stream, mark);
        driver.CopyOnDevice(y, x, 4, device.Stream);
        Assert.Equal([2], device.Get<int>(y, 1));
        driver.Synchronize(other);
        Assert.Equal([3], device.Get<int>(x, 1));
    }

    [Fact]
    public void A_graph_replays_what_was_captured()
    {
        using var device = new Device();
        var driver = device.Driver;
        var (kernel, x) = (device.Kernel("u64", Increment), device.Put(1));
        driver.Synchronize(device.Stream);
        driver.BeginCapture(device.Stream);
        driver.Launch(kernel, new(1, 1, 1, 1), [x], device.Stream);
        driver.Launch(kernel, new(1, 1, 1, 1), [x], device.Stream);
        Assert.Contains("end the capture", Assert.Throws<CudaFault>(() => driver.Synchronize(device.Stream)).Message);
        var graph = driver.EndCapture(device.Stream);
        Assert.Equal([1], device.Get<int>(x, 1));
        driver.Launch(graph, device.Stream);
        driver.Launch(graph, device.Stream);
        Assert.Equal([5], device.Get<int>(x, 1));
        Assert.Equal((4, 2), (driver.Counters.Launches["test"], driver.Counters.GraphLaunches));
        driver.DestroyGraph(graph);
        Assert.Throws<CudaFault>(() => driver.Launch(graph, device.Stream));
    }

    [Fact]
    public void A_launch_of_a_graph_can_be_changed_for_later_runs_of_it()
    {
        using var device = new Device();
        var driver = device.Driver;
        var (kernel, x, y) = (device.Kernel("u64", Increment), device.Put(1), device.Put(1));
        KernelLaunch Of(DevicePointer to) => new(kernel, new(1, 1, 1, 1), [to]);
        var graph = driver.CreateGraph([Of(x), Of(x)]);
        driver.Launch(graph, device.Stream);
        driver.Change(graph, 1, Of(y));
        driver.Launch(graph, device.Stream);
        Assert.Equal([4], device.Get<int>(x, 1));
        Assert.Equal([2], device.Get<int>(y, 1));
        Assert.Contains("launch 2 of a graph of 2", Assert.Throws<CudaFault>(() => driver.Change(graph, 2, Of(y))).Message);
        var other = device.Kernel("u64", Increment);
        Assert.Contains("make another graph", Assert.Throws<CudaFault>(() => driver.Change(graph, 0, new(other, new(1, 1, 1, 1), [x]))).Message);
    }

    [Fact]
    public void Time_passes_between_events()
    {
        using var device = new Device();
        var (from, to) = (device.Driver.CreateEvent(), device.Driver.CreateEvent());
        Assert.Throws<CudaFault>(() => device.Driver.Milliseconds(from, to));
        device.Driver.Record(from, device.Stream);
        var x = device.Put(new float[100]);
        device.Driver.Record(to, device.Stream);
        Assert.True(device.Driver.Milliseconds(from, to) > 0);
        device.Driver.Free(x);
    }

    [Fact]
    public void Memory_that_is_not_there()
    {
        using var device = new Device(new() { MemoryBytes = 1 << 20 });
        var x = device.Driver.Allocate(1000);
        Assert.Equal((1048576 - 1000, 1048576), device.Driver.Memory());
        Assert.Contains("1048000 bytes were asked for, 1000 of 1048576 are held", Assert.Throws<CudaFault>(() => device.Driver.Allocate(1048000)).Message);
        device.Driver.Free(x);
        device.Driver.Free(device.Driver.Allocate(1048000));
    }

    [Fact]
    public void What_was_never_written_is_not_read()
    {
        using var device = new Device();
        var (x, y) = (device.Allocate(4), device.Allocate(4));
        device.Driver.Set(x, 7, 2, device.Stream);
        device.Driver.CopyOnDevice(y, x, 16, device.Stream);
        Assert.Equal([7u, 7u], device.Get<uint>(y, 2));
        Assert.Contains("word 2", Assert.Throws<CudaFault>(() => device.Get<uint>(y, 3)).Message);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Products_are_column_major_chains(bool transposeA, bool transposeB)
    {
        using var device = new Device();
        var (m, n, k, lda, ldb, ldc) = (11, 3, 5, 13, 12, 14);
        var random = new Random(1);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        var (a, b, c) = (Values(13 * 13), Values(13 * 13), Values(ldc * n));
        var pointer = device.Put(c);
        device.Driver.Gemm(
            new(transposeA, transposeB, m, n, k, 2f, device.Put(a), lda, device.Put(b), ldb, 0.5f, pointer, ldc, ProductPrecision.Float32), device.Stream);
        var got = device.Get<float>(pointer, ldc * n);
        for (var j = 0; j < n; j++)
            for (var i = 0; i < ldc; i++)
            {
                var sum = 0f;
                for (var p = 0; p < k && i < m; p++)
                    sum = MathF.FusedMultiplyAdd(transposeA ? a[i * lda + p] : a[p * lda + i], transposeB ? b[p * ldb + j] : b[j * ldb + p], sum);
                Assert.Equal(i < m ? MathF.FusedMultiplyAdd(0.5f, c[j * ldc + i], 2 * sum) : c[j * ldc + i], got[j * ldc + i]);
            }
    }

    [Fact]
    public void Products_round_their_operands_where_asked_and_check_their_shapes()
    {
        using var device = new Device();
        var (a, b, c) = (device.Put(1 + 1f / 2048 + 1f / 4096, 1 + 1f / 256), device.Put(1f), device.Allocate(2));
        var call = new GemmCall(false, false, 2, 1, 1, 1, a, 2, b, 1, 0, c, 2, ProductPrecision.Tf32);
        device.Driver.Gemm(call, device.Stream);
        Assert.Equal([1 + 1f / 1024, 1 + 1f / 256], device.Get<float>(c, 2));
        device.Driver.Gemm(call with { Precision = ProductPrecision.BFloat16 }, device.Stream);
        Assert.Equal([1f, 1f], device.Get<float>(c, 2));
        Assert.Contains("leading dimension of A is 1", Assert.Throws<CudaFault>(() => device.Driver.Gemm(call with { LeadingA = 1 }, device.Stream)).Message);
        device.Driver.Gemm(call with { M = 3, LeadingA = 3, LeadingC = 3 }, device.Stream);
        Assert.Contains("Gemm, A", Assert.Throws<CudaFault>(() => device.Driver.Synchronize(device.Stream)).Message);
    }
}
