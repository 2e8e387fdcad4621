namespace SparseExperts.Hub;

/// <summary>How rotary frequencies are changed for longer texts (transformers modeling_rope_utils.py).</summary>
public enum RotaryScaling
{
    /// <summary>θ^(−2i/d).</summary>
    None,

    /// <summary>Divided by a factor.</summary>
    Linear,

    /// <summary>θ grows with the length of the text beyond the trained one.</summary>
    Dynamic,

    /// <summary>Peng et al. 2023: a ramp from divided to undivided frequencies, and a factor on cosine and sine.</summary>
    Yarn,

    /// <summary>Llama 3.1: low frequencies divided, high ones kept, a smooth passage between.</summary>
    Llama3,

    /// <summary>Gemma 4: the pairs beyond the rotated part have frequency 0; exponents run over the whole head.</summary>
    Proportional,
}

/// <summary>Rotary positions of a layer.</summary>
/// <param name="Theta">Base θ.</param>
/// <param name="Width">Numbers of a head that are rotated; with <see cref="RotaryScaling.Proportional"/> the pairs beyond <see cref="Rotated"/> stay.</param>
/// <param name="Interleaved">Pairs are neighbours (2i, 2i + 1); else the halves (i, i + d/2).</param>
public sealed record HubRotary(double Theta, int Width, bool Interleaved)
{
    public RotaryScaling Scaling { get; init; }

    /// <summary>Factor of the scaling.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Positions that the unscaled model was trained on.</summary>
    public int OriginalPositions { get; init; }

    /// <summary>Numbers of a head that turn; <see cref="Width"/> but for <see cref="RotaryScaling.Proportional"/>.</summary>
    public int Rotated { get; init; }

    /// <summary>Multiplies cosine and sine.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>YaRN: rotations within the trained length where the ramp ends and begins, and whether its bounds are whole dimensions.</summary>
    public double BetaFast { get; init; } = 32;
    public double BetaSlow { get; init; } = 1;
    public bool Truncate { get; init; } = true;

    /// <summary>DeepSeek: the softmax scale is multiplied by (0.1·m·ln factor + 1)², m this number; 0 is off.</summary>
    public double MScaleAllDimensions { get; init; }

    /// <summary>Llama 3: bounds of the passage, as parts of the trained length.</summary>
    public double LowFrequencyFactor { get; init; } = 1;
    public double HighFrequencyFactor { get; init; } = 4;
}
