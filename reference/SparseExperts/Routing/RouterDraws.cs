namespace SparseExperts.Routing;

/// <summary>
/// The random numbers of one router call. They are inputs, so that the draws of another implementation can be given. Shapes: T tokens, M
/// width, E experts, K choices.
/// </summary>
public sealed record RouterDraws
{
    /// <summary>Factors on the router's input [T, M].</summary>
    public float[]? Jitter { get; init; }

    /// <summary>Uniforms of the input dropout [T, M]; an element is kept below 1 − rate.</summary>
    public float[]? InputDropout { get; init; }

    /// <summary>Uniforms of the expert sampling [T, E].</summary>
    public float[]? Sample { get; init; }

    /// <summary>Noise on logits [T, E]: standard normal, or uniform where the dialect adds a uniform shift.</summary>
    public float[]? Noise { get; init; }

    /// <summary>Gumbel numbers [T, E].</summary>
    public float[]? Gumbel { get; init; }

    /// <summary>Uniforms that Gumbel numbers are made of [T, E].</summary>
    public float[]? UniformGumbel { get; init; }

    /// <summary>Uniforms of the second choice's policy [T].</summary>
    public float[]? Second { get; init; }

    /// <summary>Uniforms of the later choices' policy [T, K].</summary>
    public float[]? Policy { get; init; }

    /// <summary>Uniforms that knock out the best logit [T], and those of the sampling among the others [T, E].</summary>
    public float[]? SecondPlace { get; init; }
    public float[]? SecondPlaceSample { get; init; }

    /// <summary>Uniforms of random token selection [T, E].</summary>
    public float[]? Rts { get; init; }

    /// <summary>Noise of the two levels [T, groups], [T, groups, E/groups].</summary>
    public float[]? PrimaryNoise { get; init; }
    public float[]? SecondaryNoise { get; init; }

    /// <summary>The policy uniform of a token's choice j ≥ 1.</summary>
    internal double PolicyOf(int token, int choice, int choices) => Policy is not null ? Policy[token * choices + choice] : Second![token];

    /// <summary>Gumbel number i, from itself or from its uniform: −ln(−ln max(u, 10⁻²⁰)).</summary>
    internal double GumbelOf(int i) => Gumbel is not null ? Gumbel[i] : -Math.Log(Math.Max(-Math.Log(Math.Max(UniformGumbel![i], 1e-20)), 1e-20));

    /// <summary>Refuses a call whose selection needs draws that are not there, or not as many as there must be.</summary>
    internal static void Require(RouterCall call)
    {
        var d = call.Dialect;
        int each = call.Tokens * call.Experts;
        void Need(bool needed, string axis, string name, float[]? draws, int count)
        {
            if (!needed) return;
            if (draws is null) throw new RoutingException($"{call.Where}: {d.Name} with {axis} needs draws.{name}; give them or choose another {axis.Split(' ')[0]}");
            if (draws.Length != count) throw new RoutingException($"{call.Where}: draws.{name} has {draws.Length} numbers, {count} are needed; give one for every element");
        }
        var policy = d.PolicyFor(call.Training);
        var gumbel = policy == Routing.Policy.Sample && d.K > 1 || d.RouterPolicy == RouterPolicy.GumbelLogits && call.Is(d.RouterPolicyPhase);
        Need(d.RouterPolicy == RouterPolicy.Sample && d.Temperature > 0 && !d.JitterAlone && d.Selection != Selection.ExpertChoice, "router_policy sample", "sample", call.Draws.Sample, each);
        Need(gumbel, policy == Routing.Policy.Sample ? "policy sample" : "router_policy gumbel_logits", call.Draws.UniformGumbel is null ? "gumbel" : "uniform_gumbel", call.Draws.Gumbel ?? call.Draws.UniformGumbel, each);
        if (policy == Routing.Policy.Random && d.K > 1)
            Need(true, "policy random", call.Draws.Policy is null && d.K == 2 ? "second" : "policy", call.Draws.Policy ?? (d.K == 2 ? call.Draws.Second : null), call.Draws.Policy is null ? call.Tokens : call.Tokens * d.K);
        Need(d.DropPolicy == DropPolicy.Random && d.CapacityFormula != CapacityFormula.None, "drop_policy random", "rts", call.Draws.Rts, each);
    }

    /// <summary>The draws that a call needs, from a stream: every kind has a sub-stream of its own.</summary>
    public static RouterDraws From(RouterCall call, RandomStream stream, int width)
    {
        var d = call.Dialect;
        int tokens = call.Tokens, experts = call.Experts;
        bool policy = d.PolicyFor(call.Training) == Routing.Policy.Random, sampled = d.PolicyFor(call.Training) == Routing.Policy.Sample;
        var parts = Math.Max(1, d.Groups);
        float[]? Uniform(bool wanted, ulong part, int count) => wanted ? Fill(count, i => (float)Philox.UniformDouble(Sub(stream, part), i)) : null;
        float[]? Normal(bool wanted, ulong part, int count) => wanted ? Fill(count, i => (float)Philox.Normal(Sub(stream, part), i)) : null;
        var levels = d.Selection == Selection.TwoLevel && call.IsNoisy;
        return new()
        {
            Jitter = call.Jitters ? Fill(tokens * width, i => (float)(1 + d.Jitter * (2 * Philox.UniformDouble(Sub(stream, 0), i) - 1))) : null,
            InputDropout = Uniform(d.RouterPolicy == RouterPolicy.InputDropout && call.Is(d.RouterPolicyPhase), 1, tokens * width),
            Sample = Uniform(d.RouterPolicy == RouterPolicy.Sample && d.Temperature > 0 || d.Selection is Selection.Random or Selection.PolicySample, 2, tokens * experts),
            Noise = d.Noise == LogitNoise.UniformShift ? Uniform(call.IsNoisy, 3, tokens * experts)
                : Normal(call.IsNoisy && d.Noise is LogitNoise.NormalPerExperts or LogitNoise.NormalSoftplus && !levels, 3, tokens * experts),
            UniformGumbel = Uniform(sampled || call.IsNoisy && d.Noise == LogitNoise.Gumbel || d.RouterPolicy == RouterPolicy.GumbelLogits && call.Is(d.RouterPolicyPhase), 4, tokens * experts),
            Policy = Uniform(policy, 5, tokens * d.K),
            SecondPlace = Uniform(call.Training && d.SecondPlaceProbability > 0, 6, tokens),
            SecondPlaceSample = Uniform(call.Training && d.SecondPlaceProbability > 0 && d.SecondPlaceTemperature > 0, 7, tokens * experts),
            Rts = Uniform(d.DropPolicy == DropPolicy.Random, 8, tokens * experts),
            PrimaryNoise = Normal(levels, 9, tokens * parts),
            SecondaryNoise = Normal(levels, 10, tokens * experts),
        };
    }

    static RandomStream Sub(RandomStream stream, ulong part) => stream with { Seed = stream.Seed ^ ((part + 1) * 0x9E3779B97F4A7C15) };

    static float[] Fill(int count, Func<ulong, float> number)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++) values[i] = number((ulong)i);
        return values;
    }
}
