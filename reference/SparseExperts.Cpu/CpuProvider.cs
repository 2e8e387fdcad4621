namespace SparseExperts.Cpu;

/// <summary>The backend <c>cpu</c>.</summary>
public sealed class CpuProvider : IBackendProvider
{
    public string Name => "cpu";
    public string Purpose => "SIMD kernels, bit-reproducible; the default";
    public int ContractVersion => BackendContract.Version;
    public BackendProbe Probe() => BackendProbe.Available($"CPU, {CpuBackend.SimdLevel}, processors: {Environment.ProcessorCount}");
    public IBackend Create(BackendOptions options) => new CpuBackend(options.Threads);
}
