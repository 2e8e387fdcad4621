using SparseExperts.Conformance.Mutants;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Ops that a stream captured, replayed on new numbers: what running them at once gives.</summary>
public sealed class GraphTests
{
    const int Rows = 9, Width = 40;

    [Fact]
    public void A_captured_sequence_of_ops_replays_to_the_bits_of_running_it()
    {
        var driver = new Watched(new EmulatedDriver(CudaFixture.Large));
        using var backend = new CudaBackend(driver);
        Matrix x = backend.Rent(Rows, Width), w = backend.Rent(Width, Width), h = backend.Rent(Rows, Width), y = backend.Rent(Rows, Width);
        void Layer()
        {
            backend.Gemm(x, false, w, false, h, false);
            backend.Activate(Activation.GeluErf, h, h);
            backend.Softmax(h, y);
            backend.GemmOuter(x, y, w, Rows, true);
        }
        void Numbers(ulong stream)
        {
            backend.Write(x, Drawn(Rows * Width, stream));
            backend.Write(w, Drawn(Width * Width, stream + 1));
        }

        Numbers(1);
        Layer();                                            // kernels are loaded and tables kept: a graph holds launches
        Numbers(3);
        Layer();
        var (expectedY, expectedW) = (backend.ToArray(y), backend.ToArray(w));

        driver.BeginCapture(driver.Stream);
        Layer();
        var graph = driver.EndCapture(driver.Stream);
        Numbers(3);
        driver.Launch(graph, driver.Stream);
        Assert.Equal(expectedY, backend.ToArray(y));
        Assert.Equal(expectedW, backend.ToArray(w));
        Numbers(5);
        driver.Launch(graph, driver.Stream);
        Assert.NotEqual(expectedY, backend.ToArray(y));
        driver.DestroyGraph(graph);
    }

    static float[] Drawn(int count, ulong stream) => [.. Enumerable.Range(0, count).Select(i => (float)Philox.Normal(new RandomStream(5, stream), (ulong)i))];

    /// <summary>Knows the backend's stream.</summary>
    sealed class Watched(ICudaDriver inner) : DelegatingDriver(inner)
    {
        public CudaStream Stream { get; private set; }
        public override CudaStream CreateStream() => Stream = base.CreateStream();
    }
}
