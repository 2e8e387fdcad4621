using SparseExperts.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>
/// Positions that nobody wrote down: where GPT-OSS's <c>rope_scaling</c> is null transformers 4 reads plain rotary positions, and the configuration class of
/// transformers 5 puts its YaRN there, as both do where the key is absent.
/// </summary>
static class UnsaidPositions
{
    public const string Sentence = "positions of YaRN with factor 32, which transformers 5 takes where rope_scaling is null";

    public static HubRotary Of(HubRotary plain) => plain with
    {
        Scaling = RotaryScaling.Yarn,
        Factor = 32,
        OriginalPositions = 4096,
        AttentionFactor = RotaryReader.Growth(32, 1),
        BetaFast = 32,
        BetaSlow = 1,
        Truncate = false,
    };

    /// <summary>The model as transformers 5 reads it; null where both read the same.</summary>
    public static HubDecoder? Of(HubDecoder config) => config.Sinks && config.Layers.All(l => l.Rotary is { Scaling: RotaryScaling.None })
        ? config with { Layers = [.. config.Layers.Select(l => l with { Rotary = Of(l.Rotary!) })] }
        : null;
}
