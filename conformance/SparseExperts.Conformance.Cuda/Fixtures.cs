using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;

namespace SparseExperts.Conformance.Cuda;

/// <summary>
/// The kernels that ship, on the emulator. What the laws call threads is here the device and the order in which its threads take turns: a small one
/// with all checks, on which a launch has at most two blocks along y, and large ones, in other orders and without watching for races.
/// </summary>
public sealed class CudaFixture : IBackendFixture
{
    public IBackend Create(int threads)
    {
        var device = threads == 1 ? Small : Large with { Order = (ThreadOrder)(threads % 3), Seed = threads };
        return new CudaBackend(new EmulatedDriver(device));
    }
    public bool Canonical => true;
    public int EveryEdge => 12;
    public int EveryCard => 4;

    static readonly EmulatorOptions Small = new() { Order = ThreadOrder.Descending, Multiprocessors = 1, MaxBlocksY = 2 };

    /// <summary>A device of 132 multiprocessors.</summary>
    public static readonly EmulatorOptions Large = new() { Multiprocessors = 132, Checks = EmulatorChecks.Unwritten };
}

/// <summary>Products by cuBLAS, which the emulator has in the precisions that cuBLAS has.</summary>
public abstract class CublasFixture(Precision precision) : IBackendFixture
{
    public Precision Precision => precision;
    public IBackend Create(int threads) => new CudaBackend(new EmulatedDriver(CudaFixture.Large), precision: precision);
    public bool Canonical => false;
    public int EveryEdge => 4;
}

public sealed class Float32Fixture() : CublasFixture(Precision.F32);
public sealed class Tf32Fixture() : CublasFixture(Precision.Tf32);
public sealed class BFloat16Fixture() : CublasFixture(Precision.Bf16);
