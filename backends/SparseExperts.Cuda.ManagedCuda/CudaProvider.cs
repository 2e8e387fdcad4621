namespace SparseExperts.Cuda;

/// <summary>The backend <c>cuda</c>.</summary>
public sealed class CudaProvider : IBackendProvider
{
    /// <summary>Environment variable: 0 sends every launch to the device alone, for NVIDIA's profilers. Default: 1, steps as graphs.</summary>
    public const string GraphsVariable = "SPARSEEXPERTS_CUDA_GRAPHS";

    public string Name => "cuda";
    public string Purpose => "kernels on an NVIDIA GPU: the CPU's bits, faster";
    public int ContractVersion => BackendContract.Version;
    public BackendProbe Probe() => ManagedCudaDriver.Probe();
    public IReadOnlyList<Precision> Precisions => CudaBackend.Precisions;
    public IBackend Create(BackendOptions options) => new CudaBackend(new ManagedCudaDriver(), Name, options.Precision, Graphs());

    static bool Graphs() => Environment.GetEnvironmentVariable(GraphsVariable) switch
    {
        null or "" or "1" => true,
        "0" => false,
        var other => throw new DeviceFaultException($"{GraphsVariable} = '{other}': 1 for steps as graphs, or 0 for launches one by one"),
    };
}
