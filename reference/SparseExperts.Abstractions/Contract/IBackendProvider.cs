namespace SparseExperts;

/// <summary>
/// What a backend is asked for by: its name, what it is good for, and whether it can work here. A plugin has one public class of this kind with a
/// constructor without parameters. Nothing but <see cref="Create"/> may touch a device for long.
/// </summary>
public interface IBackendProvider
{
    /// <summary>What the user types: lower case, words joined by hyphens.</summary>
    string Name { get; }

    /// <summary>One line for a list of backends.</summary>
    string Purpose { get; }

    /// <summary>The contract that the provider was compiled against: <c>=&gt; BackendContract.Version</c>.</summary>
    int ContractVersion { get; }

    /// <summary>Which products it has; the first is the default.</summary>
    IReadOnlyList<Precision> Precisions => [Precision.Exact];

    /// <summary>Can it work on this machine? Never throws.</summary>
    BackendProbe Probe();

    /// <summary>A backend, or a <see cref="DeviceFaultException"/> that says why not.</summary>
    IBackend Create(BackendOptions options);
}

/// <summary>
/// The version of the contract between the program and its backends. A backend works with a program of the same version and with no other: the version
/// changes when something is taken away, renamed, or means something else, and when an op without a default body is added. An op that is added with a
/// default body (<see cref="IBackend"/>, made of older ops, with the definition's bits) leaves the version as it is, because a backend that was compiled
/// before it works with that body; so do new members of records that keep what they were when nobody sets them.
/// </summary>
public static class BackendContract
{
    /// <summary>A constant, so that a plugin carries the one it was compiled against.</summary>
    public const int Version = 5;
}

/// <summary>Whether a backend can work here: if so, on what; if not, why, as one line.</summary>
public readonly record struct BackendProbe(bool IsAvailable, string Why)
{
    public static BackendProbe Available(string device) => new(true, device);
    public static BackendProbe Missing(string why) => new(false, why);
}

/// <summary>What a user decides about a backend. <paramref name="Threads"/> 0 takes one a processor; the numbers do not depend on it.</summary>
public sealed record BackendOptions(int Threads = 0)
{
    /// <summary>How products are computed: one of the provider's <see cref="IBackendProvider.Precisions"/>.</summary>
    public Precision Precision { get; init; }
}

/// <summary>A device or its driver is missing or has failed: one line that says what and what to do. The command ends with exit code 3.</summary>
public class DeviceFaultException(string message, Exception? inner = null) : Exception(message, inner);
