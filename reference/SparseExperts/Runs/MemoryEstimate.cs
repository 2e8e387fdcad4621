using System.Globalization;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// What a training needs at its peak, estimated from its sizes before anything is taken. Lasting: parameters P, their gradients and the optimizer's two
/// moments, and two more copies while a checkpoint is written: 24·P bytes (16·P for Adafactor). Of a micro-batch's tokens, in numbers each: a block keeps
/// about 20·D, heads·S attention shares, and for each of its c choices 6·D + 2.2·H; the head 4·V. The factors are fitted to what <c>--profile</c> counts
/// for the presets, within a fifth; dropout keeps masks besides.
/// </summary>
public static class MemoryEstimate
{
    /// <summary>Bytes of a decoder's training; null for a family whose sizes are not known here.</summary>
    public static double? Bytes(IModelConfig model, TrainingConfig training)
    {
        if (model is not ModelConfig m) return null;
        double tokens = (double)training.Batch / training.Accumulate * m.Context, lasting = training.Optimizer == OptimizerKind.Adafactor ? 16 : 24;
        var choices = m.Experts == 0 ? 1 : Math.Min(m.ExpertsPerToken, m.Experts);
        var block = 20.0 * m.Width + (double)m.Heads * m.Context + choices * (6.0 * m.Width + 2.2 * m.Hidden);
        if (m.Dropout > 0 || m.ExpertDropout > 0) block *= 1.2;
        // Recomputed, a block keeps its input, and one block at a time the rest.
        var blocks = training.Recompute ? m.Layers * 2.0 * m.Width + block : m.Layers * block;
        return lasting * Parameters(m) + 4 * tokens * (blocks + 4.0 * m.Vocabulary);
    }

    static double Parameters(ModelConfig m)
    {
        double width = m.Width, sparse = Enumerable.Range(0, m.Layers).Count(m.IsSparse), dense = m.Layers - sparse;
        return 2 * m.Vocabulary * width + m.Layers * 4 * width * width + 2 * width * m.Hidden * (dense + sparse * m.Experts);
    }

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
        if (Lack(Bytes(model, training), backend) is not { } lack) return;
        throw new ConfigurationException($"batch {training.Batch} of {model.Context}: {lack}; lower one of these, run the batch in more parts, or recompute",
            "batch", "context", "accumulate", "recompute");
    }

    /// <summary>Refuses a model whose parameters alone cannot fit on the host.</summary>
    /// <exception cref="ConfigurationException">They need more than there is; the line has both numbers.</exception>
    public static void RequireModel(IModelConfig model, IBackend backend)
    {
        if (Lack(model is ModelConfig m ? 4 * Parameters(m) : null, backend) is { } lack)
            throw new ConfigurationException($"{model.Title}: {lack}; take a machine that has them");
    }

    /// <summary>A device has memory of its own, and says itself when it has no more.</summary>
    static string? Lack(double? needed, IBackend backend) =>
        backend.Info.Name == "cuda" || needed is not { } bytes || Available() is var there && bytes <= there ? null
            : $"about {GiB(bytes)} of memory are needed, {GiB(there)} are there";

    static string GiB(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1L << 30):0.0} GiB");
}
