using System.Globalization;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// What a training needs at its peak, estimated from its sizes before anything is taken. Lasting: parameters P, their gradients and the optimizer's two
/// moments, and two more copies while a checkpoint is written: 24·P bytes (16·P for Adafactor). Of a micro-batch's tokens, in numbers each: a block keeps
/// about 20·D, heads·S attention shares, and for each of its c choices 6·D + 2.2·H; the head 4·V; cross-attention 10·D of the decoder's tokens and 4·D of
/// the encoder's. The factors are fitted to what <c>--profile</c> counts for the presets, within a fifth; dropout keeps masks besides.
/// </summary>
public static class MemoryEstimate
{
    /// <summary>Bytes of a training; null for a family whose sizes are not known here.</summary>
    public static double? Bytes(IModelConfig model, TrainingConfig training) => model switch
    {
        ModelConfig decoder => Lasting(training) * DecoderSize.Parameters(decoder).All + OfTokens(decoder, training),
        T5Config t5 => Lasting(training) * T5Size.Parameters(t5).All + OfTokens(t5, training),
        _ => null,
    };

    /// <summary>Bytes a parameter while a checkpoint is written.</summary>
    public static double Lasting(TrainingConfig training) => training.Optimizer == OptimizerKind.Adafactor ? 16 : 24;

    /// <summary>Bytes of what is kept of the tokens of a micro-batch.</summary>
    static double OfTokens(ModelConfig m, TrainingConfig training)
    {
        var tokens = (double)training.Batch / training.Accumulate * m.Context;
        var choices = m.Experts == 0 ? 1 : Math.Min(m.ExpertsPerToken, m.Experts);
        var block = 20.0 * m.Width + (double)m.Heads * m.Context + choices * (6.0 * m.Width + 2.2 * m.Hidden);
        if (m.Dropout > 0 || m.ExpertDropout > 0) block *= 1.2;
        // Recomputed, a block keeps its input, and one block at a time the rest.
        var blocks = training.Recompute ? m.Layers * 2.0 * m.Width + block : m.Layers * block;
        return 4 * tokens * (blocks + 4.0 * m.Vocabulary);
    }

    /// <summary>The same of both stacks.</summary>
    public static double OfTokens(T5Config m, TrainingConfig training)
    {
        var choices = m.Experts == 0 ? 1 : Math.Min(m.ExpertsPerToken, m.Experts);
        double Block(int keys) => 10.0 * m.Width + 10.0 * m.Inner + (double)m.Heads * keys + choices * (6.0 * m.Width + 2.2 * m.Hidden);
        double encoder = m.Context * Block(m.Context), decoder = m.TargetContext * (Block(m.TargetContext) + 10.0 * m.Inner + (double)m.Heads * m.Context)
            + 4.0 * m.Context * m.Inner;
        if (m.Dropout > 0 || m.ExpertDropout > 0) (encoder, decoder) = (1.2 * encoder, 1.2 * decoder);
        var blocks = training.Recompute
            ? 2.0 * m.Width * (m.EncoderLayers * m.Context + m.DecoderLayers * m.TargetContext) + Math.Max(encoder, decoder)
            : m.EncoderLayers * encoder + m.DecoderLayers * decoder;
        return 4.0 * training.Batch / training.Accumulate * (blocks + 4.0 * m.Vocabulary * m.TargetContext);
    }

    /// <summary>Numbers that are trained; null for a family whose sizes are not known here.</summary>
    public static ParameterCount? Parameters(IModelConfig model) => model switch
    {
        ModelConfig decoder => DecoderSize.Parameters(decoder),
        T5Config t5 => T5Size.Parameters(t5),
        _ => null,
    };

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
        if (Lack(4 * Parameters(model)?.All, backend) is { } lack)
            throw new ConfigurationException($"{model.Title}: {lack}; take a machine that has them");
    }

    /// <summary>A device has memory of its own, and says itself when it has no more.</summary>
    static string? Lack(double? needed, IBackend backend) =>
        backend.Info.HasOwnMemory || needed is not { } bytes || Available() is var there && bytes <= there ? null
            : $"about {GiB(bytes)} of memory are needed, {GiB(there)} are there";

    /// <summary>For people.</summary>
    public static string GiB(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1L << 30):0.0} GiB");
}
