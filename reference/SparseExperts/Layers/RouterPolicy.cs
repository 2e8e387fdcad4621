namespace SparseExperts.Layers;

/// <summary>
/// What a Switch router does to its inputs or its choice (Mesh-TensorFlow moe.py, switch_policy_train / switch_policy_eval):
/// nothing; multiply inputs by U[1 − ε, 1 + ε] while training; drop inputs while training; or sample the expert by Gumbel-max.
/// </summary>
public enum RouterPolicy { Argmax, InputJitter, InputDropout, Sample }

/// <summary>A router's policy and its numbers: ε of the jitter, rate of the dropout, temperature of the sample.</summary>
public sealed record RouterPolicySettings(RouterPolicy Policy, double Jitter = 1e-2, double Dropout = 0.1, double Temperature = 1.0);

/// <summary>
/// The random numbers of one router call. They are inputs, so that the draws of another implementation can be given: jitter factors
/// [T, D], uniforms of the input dropout [T, D] (kept below 1 − rate), uniforms of the sampling [T, E].
/// </summary>
public sealed record RouterDraws(float[]? Jitter = null, float[]? InputDropout = null, float[]? Sample = null)
{
    /// <summary>What a policy needs, from a stream.</summary>
    public static RouterDraws From(RouterPolicySettings settings, bool training, RandomStream stream, int tokens, int width, int experts) => settings.Policy switch
    {
        RouterPolicy.InputJitter when training => new(Jitter: Draw(tokens * width, i => 1 + settings.Jitter * (2 * Philox.UniformDouble(stream, i) - 1))),
        RouterPolicy.InputDropout when training => new(InputDropout: Draw(tokens * width, i => Philox.UniformDouble(stream, i))),
        RouterPolicy.Sample => new(Sample: Draw(tokens * experts, i => Philox.UniformDouble(stream, i))),
        _ => new(),
    };

    static float[] Draw(int count, Func<ulong, double> number)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++) values[i] = (float)number((ulong)i);
        return values;
    }
}
