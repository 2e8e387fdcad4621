namespace SparseExperts.Cuda.Emulator;

/// <summary>The backend <c>cuda-emulated</c>.</summary>
public sealed class EmulatorProvider : IBackendProvider
{
    public string Name => "cuda-emulated";
    public string Purpose => "the GPU's kernels, executed and checked on the CPU: for tests, thousands of times slower";
    public int ContractVersion => BackendContract.Version;
    public BackendProbe Probe() => BackendProbe.Available("PTX on the CPU");
    public IReadOnlyList<Precision> Precisions => CudaBackend.Precisions;
    public IBackend Create(BackendOptions options) => new CudaBackend(new EmulatedDriver(new() { Multiprocessors = 132 }), Name, options.Precision);
}
