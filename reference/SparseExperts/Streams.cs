namespace SparseExperts;

/// <summary>What random numbers are drawn for. Every use has streams of its own; a new one is added at the end.</summary>
public enum RandomUse : byte
{
    Data = 1, Sampling, AttentionDropout, FeedForwardDropout, ExpertDropout, TokenDropout,
    Jitter, InputDropout, ExpertSample, Noise, Gumbel, Policy, SecondPlace, SecondPlaceSample, TokenSelection, PrimaryNoise, SecondaryNoise,
    EmbeddingDropout, FinalDropout, CrossAttentionDropout, HiddenDropout,
}

/// <summary>
/// The random streams of one seed, by name: no two (step, layer, use, pass) share a word. A number belongs to the place in the whole batch that it is
/// drawn for, so that a shard draws what the whole would have drawn (docs/numerics.md, N5).
/// </summary>
/// <param name="Pass">1 for a second pass through the model within a step.</param>
public readonly record struct Streams(ulong Seed, int Pass = 0)
{
    const int LayerBits = 16, UseBits = 8, StepBits = 38;

    /// <summary>Step (0 outside of training), layer (0 for what belongs to no layer) and use, side by side in the 64 bits of a stream.</summary>
    public RandomStream At(long step, int layer, RandomUse use)
    {
        if (step is < 0 or >= 1L << StepBits) throw new ArgumentOutOfRangeException(nameof(step), step, $"a step is below 2^{StepBits}");
        if (layer is < 0 or >= 1 << LayerBits) throw new ArgumentOutOfRangeException(nameof(layer), layer, $"a layer is below 2^{LayerBits}");
        if (Pass is not (0 or 1)) throw new ArgumentOutOfRangeException(nameof(Pass), Pass, "a step has at most two passes");
        return new(Seed, ((((ulong)step << 1 | (uint)Pass) << LayerBits | (uint)layer) << UseBits) | (byte)use);
    }

    /// <summary>
    /// The stream of a thing that has a name of its own, such as a matrix that is initialised: FNV-1a with the upper bit, which no step reaches.
    /// </summary>
    public RandomStream Named(string name)
    {
        var hash = 14695981039346656037;
        foreach (var letter in name) hash = (hash ^ letter) * 1099511628211;
        return new(Seed, hash | 1UL << 63);
    }
}

/// <summary>The streams of one layer in one step.</summary>
public readonly record struct LayerStreams(Streams Streams, long Step, int Layer)
{
    public RandomStream this[RandomUse use] => Streams.At(Step, Layer, use);
}
