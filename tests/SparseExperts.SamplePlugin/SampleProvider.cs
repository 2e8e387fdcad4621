namespace SparseExperts.SamplePlugin;

/// <summary>
/// A backend as a plugin: the required ops of the definition and no other, with a copy of its assembly that is the plugin's own. Files beside it make it
/// misbehave: <c>contract</c> has the version that it claims to be built for, <c>probe</c> what its probe throws, <c>device</c> what its device fails with,
/// <c>fault</c> what nobody foresaw.
/// </summary>
public sealed class SampleProvider : IBackendProvider
{
    public string Name => "sample";
    public string Purpose => "the definition as a plugin";
    public int ContractVersion => Beside("contract") is { } version ? int.Parse(version) : BackendContract.Version;
    public BackendProbe Probe() =>
        Beside("probe") is { } failure ? throw new InvalidOperationException(failure) : BackendProbe.Available("CPU, one element at a time");
    public IBackend Create(BackendOptions options) =>
        Beside("device") is { } failure ? throw new DeviceFaultException(failure)
        : Beside("fault") is { } fault ? throw new InvalidOperationException(fault)
        : new SampleBackend();

    static string? Beside(string name)
    {
        var file = Path.Combine(Path.GetDirectoryName(typeof(SampleProvider).Assembly.Location)!, name);
        return File.Exists(file) ? File.ReadAllText(file) : null;
    }
}
