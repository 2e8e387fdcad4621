using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;

namespace SparseExperts.Conformance.Cuda;

/// <summary>
/// The kernels that ship, on the emulator with all of its checks. What the laws call threads is here the order in which GPU threads take turns.
/// </summary>
public sealed class CudaFixture : IBackendFixture
{
    public IBackend Create(int threads) => new CudaBackend(new EmulatedDriver(new EmulatorOptions { Order = (ThreadOrder)(threads % 3), Seed = threads }));
    public bool Canonical => true;
}

public sealed class CudaOpLaws : OpLaws<CudaFixture>;
