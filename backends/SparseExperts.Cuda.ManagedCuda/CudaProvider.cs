namespace SparseExperts.Cuda;

/// <summary>The backend <c>cuda</c>.</summary>
public sealed class CudaProvider : IBackendProvider
{
    public string Name => "cuda";
    public string Purpose => "kernels on an NVIDIA GPU: the CPU's bits, faster";
    public int ContractVersion => BackendContract.Version;
    public BackendProbe Probe() => ManagedCudaDriver.Probe();
    public IReadOnlyList<Precision> Precisions => CudaBackend.Precisions;
    public IBackend Create(BackendOptions options) => new CudaBackend(new ManagedCudaDriver(), Name, options.Precision);
}
