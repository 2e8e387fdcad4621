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
    internal double GumbelOf(int i) => Gumbel is not null
        ? Gumbel[i]
        : -ReproducibleMath.Log(Math.Max(-ReproducibleMath.Log(Math.Max(UniformGumbel![i], 1e-20)), 1e-20));

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

    /// <summary>The draws that a call needs: every kind has a stream of its own, and a token the numbers of its place in the batch.</summary>
    /// <param name="firstToken">That of the call's first token.</param>
    public static RouterDraws From(RouterCall call, LayerStreams streams, int width, long firstToken = 0)
    {
        var d = call.Dialect;
        int tokens = call.Tokens, experts = call.Experts;
        bool policy = d.PolicyFor(call.Training) == Routing.Policy.Random, sampled = d.PolicyFor(call.Training) == Routing.Policy.Sample;
        var parts = Math.Max(1, d.Groups);
        float[]? Drawn(bool wanted, RandomUse use, int each, Func<RandomStream, ulong, double> number)
        {
            if (!wanted) return null;
            var (stream, first, values) = (streams[use], (ulong)(firstToken * each), new float[tokens * each]);
            for (var i = 0; i < values.Length; i++) values[i] = (float)number(stream, first + (ulong)i);
            return values;
        }
        float[]? Uniform(bool wanted, RandomUse use, int each) => Drawn(wanted, use, each, Philox.UniformDouble);
        float[]? Normal(bool wanted, RandomUse use, int each) => Drawn(wanted, use, each, Philox.Normal);
        var levels = d.Selection == Selection.TwoLevel && call.IsNoisy;
        return new()
        {
            Jitter = Drawn(call.Jitters, RandomUse.Jitter, width, (stream, i) => 1 + d.Jitter * (2 * Philox.UniformDouble(stream, i) - 1)),
            InputDropout = Uniform(d.RouterPolicy == RouterPolicy.InputDropout && call.Is(d.RouterPolicyPhase), RandomUse.InputDropout, width),
            Sample = Uniform(d.RouterPolicy == RouterPolicy.Sample && d.Temperature > 0 || d.Selection is Selection.Random or Selection.PolicySample, RandomUse.ExpertSample, experts),
            Noise = d.Noise == LogitNoise.UniformShift ? Uniform(call.IsNoisy, RandomUse.Noise, experts)
                : Normal(call.IsNoisy && d.Noise is LogitNoise.NormalPerExperts or LogitNoise.NormalSoftplus && !levels, RandomUse.Noise, experts),
            UniformGumbel = Uniform(sampled || call.IsNoisy && d.Noise == LogitNoise.Gumbel || d.RouterPolicy == RouterPolicy.GumbelLogits && call.Is(d.RouterPolicyPhase), RandomUse.Gumbel, experts),
            Policy = Uniform(policy, RandomUse.Policy, d.K),
            SecondPlace = Uniform(call.Training && d.SecondPlaceProbability > 0, RandomUse.SecondPlace, 1),
            SecondPlaceSample = Uniform(call.Training && d.SecondPlaceProbability > 0 && d.SecondPlaceTemperature > 0, RandomUse.SecondPlaceSample, experts),
            Rts = Uniform(d.DropPolicy == DropPolicy.Random, RandomUse.TokenSelection, experts),
            PrimaryNoise = Normal(levels, RandomUse.PrimaryNoise, parts),
            SecondaryNoise = Normal(levels, RandomUse.SecondaryNoise, experts),
        };
    }
}
