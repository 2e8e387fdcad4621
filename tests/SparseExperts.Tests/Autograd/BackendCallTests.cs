using SparseExperts.Cpu;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Autograd;

/// <summary>What a backend says of calls that it cannot serve.</summary>
public sealed class BackendCallTests
{
    /// <summary>One of two threads that ask for products all the time finds the other at work.</summary>
    [Fact]
    public async Task Two_threads_on_one_backend_are_refused_with_one_line()
    {
        using var backend = new CpuBackend(threads: 2);
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        void Work()
        {
            var (a, b, c) = (backend.Rent(64, 64), backend.Rent(64, 64), backend.Rent(64, 64));
            while (!stop.IsCancellationRequested) backend.Gemm(a, false, b, false, c, false);
        }
        var threads = Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(Work, TaskCreationOptions.LongRunning)).ToArray();
        var error = await Assert.ThrowsAsync<InvalidOperationException>(async () => await await Task.WhenAny(threads).WaitAsync(TimeSpan.FromSeconds(60)));
        stop.Cancel();
        Assert.Equal("two threads use one backend 'cpu' at the same time; give each thread a backend of its own", error.Message);
        await Task.WhenAll(threads.Where(t => !t.IsFaulted));

        // It serves the thread that asks next.
        backend.Fill(backend.Rent(300, 300), 1);
    }

    public static TheoryData<IBackend> Backends => [new ScalarBackend<Float32>(), new CpuBackend(1)];

    [Theory]
    [MemberData(nameof(Backends))]
    public void A_wrong_backward_call_is_reported_under_its_own_name(IBackend b)
    {
        using var backend = b;
        Matrix M(int rows, int columns) => backend.Rent(rows, columns);
        var shape = AttentionShape.OfSelf(1, 3, 1, 2, 1, false);
        void Backward(Matrix q, Matrix dk) => backend.AttentionBackward(
            shape, q, M(3, 2), M(3, 2), default, M(3, 3), M(3, 2), M(3, 2), M(3, 2), false, dk, false, M(3, 2), false, null, null);
        Assert.StartsWith("AttentionBackward: Q is 2×2", Assert.Throws<ShapeException>(() => Backward(M(2, 2), M(3, 2))).Message);
        Assert.StartsWith("AttentionBackward: dK is 2×2", Assert.Throws<ShapeException>(() => Backward(M(3, 2), M(2, 2))).Message);
        Assert.StartsWith("CrossEntropyBackward: losses is 3×1", Assert.Throws<ShapeException>(() =>
            backend.CrossEntropyBackward(M(2, 4), backend.Upload([0, 1]), 0, M(2, 1), M(3, 1), M(2, 4), false)).Message);
    }
}
