using SparseExperts.Hub;

namespace SparseExperts.Models.Hub;

/// <summary>By how much each pair of a head turns from one position to the next (transformers modeling_rope_utils.py).</summary>
static class RotaryFrequencies
{
    /// <summary>θ^{−2i/width} for each pair, stretched; 0 for pairs that do not turn.</summary>
    /// <param name="length">Positions of the text, for settings that depend on it.</param>
    public static double[] Of(HubRotary rotary, int length)
    {
        var (pairs, theta) = (rotary.Width / 2, Theta(rotary, length));
        double[] own = [.. Enumerable.Range(0, pairs).Select(i => ReproducibleMath.Pow(theta, -2.0 * i / rotary.Width))];
        return rotary.Scaling switch
        {
            RotaryScaling.None or RotaryScaling.Dynamic => own,
            RotaryScaling.Linear => [.. own.Select(f => f / rotary.Factor)],
            RotaryScaling.Yarn => [.. own.Select((f, i) => Yarn(rotary, f, i))],
            RotaryScaling.Llama3 => [.. own.Select(f => Llama3(rotary, f))],
            RotaryScaling.Proportional => [.. own.Select((f, i) => i < rotary.Rotated / 2 ? f / rotary.Factor : 0)],
            var other => throw new ConfigurationException($"rotary scaling {other}: unknown"),
        };
    }

    /// <summary>θ, which grows with texts beyond the trained length where the scaling is dynamic.</summary>
    static double Theta(HubRotary rotary, int length)
    {
        if (rotary.Scaling != RotaryScaling.Dynamic || length <= rotary.OriginalPositions) return rotary.Theta;
        var growth = rotary.Factor * length / rotary.OriginalPositions - (rotary.Factor - 1);
        return rotary.Theta * ReproducibleMath.Pow(growth, rotary.Width / (rotary.Width - 2.0));
    }

    /// <summary>Slow pairs over the factor, fast ones as they are, a ramp between (Peng et al. 2023, YaRN, section 3.2).</summary>
    static double Yarn(HubRotary rotary, double frequency, int pair)
    {
        double Place(double turns) =>
            rotary.Width * ReproducibleMath.Log(rotary.OriginalPositions / (turns * 2 * Math.PI)) / (2 * ReproducibleMath.Log(rotary.Theta));
        var (low, high) = (Place(rotary.BetaFast), Place(rotary.BetaSlow));
        if (rotary.Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, rotary.Width - 1));
        if (low == high) high += 0.001;
        var ramp = Math.Clamp((pair - low) / (high - low), 0, 1);
        return frequency / rotary.Factor * ramp + frequency * (1 - ramp);
    }

    /// <summary>The same with a ramp in wavelengths.</summary>
    static double Llama3(HubRotary rotary, double frequency)
    {
        var (length, original) = (2 * Math.PI / frequency, (double)rotary.OriginalPositions);
        if (length > original / rotary.LowFrequencyFactor) return frequency / rotary.Factor;
        if (length < original / rotary.HighFrequencyFactor) return frequency;
        var smooth = (original / length - rotary.LowFrequencyFactor) / (rotary.HighFrequencyFactor - rotary.LowFrequencyFactor);
        return (1 - smooth) * frequency / rotary.Factor + smooth * frequency;
    }

    /// <summary>
    /// By how much of itself float32 may be off in a pair's angle: its exponent, rounded, multiplies by ln θ; the power has two units, its inverse and the
    /// product with the position one each; a stretch has eight roundings more.
    /// </summary>
    public static double AngleError(HubRotary rotary, int pair)
    {
        const double unit = 1.0 / 16777216;
        return (2.0 * pair / rotary.Width * ReproducibleMath.Log(rotary.Theta) + 4 + (rotary.Scaling == RotaryScaling.None ? 0 : 8)) * unit;
    }
}
