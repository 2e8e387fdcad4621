using SparseExperts.Cpu;
using SparseExperts.Scalar;

namespace SparseExperts.Conformance.Cpu;

public sealed class CpuFixture : IBackendFixture
{
    public IBackend Create(int threads) => new CpuBackend(threads);
    public bool Canonical => true;
    public int EveryEdge => 2;
}

public sealed class ScalarFixture : IBackendFixture
{
    public IBackend Create(int threads) => new ScalarBackend<Float32>();
    public bool Canonical => true;
    public bool HasThreads => false;
    public int EveryEdge => 3;
}

public sealed class DoubleFixture : IBackendFixture
{
    public IBackend Create(int threads) => new ScalarBackend<Float64>();
    public bool Canonical => false;
}

public sealed class CpuOpLaws : OpLaws<CpuFixture>;

public sealed class ScalarOpLaws : OpLaws<ScalarFixture>;

public sealed class ScalarGradientLaws : GradientLaws<DoubleFixture>;
