namespace SparseExperts.Scalar;

/// <summary>The backends <c>scalar</c> and <c>scalar-double</c>: the definition in one precision or the other.</summary>
public sealed class ScalarProvider<T>(string name, string purpose) : IBackendProvider where T : struct, IReal<T>
{
    public string Name => name;
    public string Purpose => purpose;
    public int ContractVersion => BackendContract.Version;
    public BackendProbe Probe() => BackendProbe.Available("CPU, one element at a time");
    public IBackend Create(BackendOptions options) => new ScalarBackend<T>();
}
