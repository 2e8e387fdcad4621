using System.Globalization;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// What a training needs at its peak, estimated from its sizes before anything is taken. Lasting: parameters P, their gradients and the optimizer's two
/// moments, and two more copies while a checkpoint is written: 24·P bytes (16·P for Adafactor). Besides, what is kept of a micro-batch
/// (<see cref="ModelSize"/>).
/// </summary>
public static class MemoryEstimate
{
    /// <summary>Bytes of a training; null for a family that does not say what it keeps of a batch.</summary>
    public static double? Bytes(IModelConfig model, TrainingConfig training, IBackend backend) => model.Size() is not { } size ? null
        : Lasting(training) * ParameterCount.Of(model, backend).All
            + 4.0 * training.Batch / training.Accumulate * (training.Recompute ? size.KeptToRecompute : size.Kept);

    /// <summary>Bytes a parameter while a checkpoint is written.</summary>
    public static double Lasting(TrainingConfig training) => training.Optimizer == OptimizerKind.Adafactor ? 16 : 24;

    /// <summary>What this process may still take: of the machine's free memory, and of what its container or settings allow.</summary>
    public static double Available()
    {
        double allowed = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        const string path = "/proc/meminfo", key = "MemAvailable:";
        if (!File.Exists(path) || File.ReadLines(path).FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal)) is not { } line) return allowed;
        return Math.Min(allowed, 1024 * double.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture));
    }

    /// <summary>Refuses, before anything is taken, a training on the host that cannot fit.</summary>
    /// <exception cref="ConfigurationException">It needs more than there is; the line has both numbers.</exception>
    public static void Require(IModelConfig model, TrainingConfig training, IBackend backend)
    {
        if (Lack(() => Bytes(model, training, backend), backend) is not { } lack) return;
        throw new ConfigurationException($"batch {training.Batch} of {model.Context}: {lack}; lower one of these, run the batch in more parts, or recompute",
            "batch", "context", "accumulate", "recompute");
    }

    /// <summary>Refuses a model whose parameters alone cannot fit on the host.</summary>
    /// <param name="bytes">Of its parameters as they are kept.</param>
    /// <exception cref="ConfigurationException">They need more than there is; the line has both numbers.</exception>
    public static void RequireModel(string title, long bytes, IBackend backend)
    {
        if (Lack(() => bytes, backend) is { } lack) throw new ConfigurationException($"{title}: {lack}; take a machine that has them");
    }

    /// <summary>A device has memory of its own, and says itself when it has no more.</summary>
    static string? Lack(Func<double?> needed, IBackend backend) =>
        backend.Info.HasOwnMemory || needed() is not { } bytes || Available() is var there && bytes <= there ? null
            : $"about {GiB(bytes)} of memory are needed, {GiB(there)} are there";

    /// <summary>For people.</summary>
    public static string GiB(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1L << 30):0.0} GiB");
}
