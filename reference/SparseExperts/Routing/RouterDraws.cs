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
        foreach (var kind in DrawKinds.All)
        {
            if (kind.NeededBy(call) is not { } axis) continue;
            var (named, draws) = Found(call, kind);
            if (draws is null)
            {
                var remedy = $"give them or choose another {axis.Split(' ')[0]}";
                throw new RoutingException($"{call.Where}: {call.Dialect.Name} with {axis} needs draws.{named.Name}; {remedy}");
            }
            var count = call.Tokens * named.Each(call, 0);
            if (draws.Length == count) continue;
            throw new RoutingException(
                $"{call.Where}: draws.{named.Name} has {draws.Length} numbers, {count} are needed; give one for every element");
        }
    }

    /// <summary>Numbers of a kind, or of the kind that serves in its place; one number a token serves for one later choice alone.</summary>
    static (DrawKind Kind, float[]? Draws) Found(RouterCall call, DrawKind kind)
    {
        if (kind.Of(call.Draws) is { } own) return (kind, own);
        var other = kind.Instead is { } instead && (instead.Shape.Length == kind.Shape.Length || call.K == 2) ? instead : kind;
        return (other, other.Of(call.Draws));
    }

    /// <summary>The draws that a call needs: every kind has a stream of its own, and a token the numbers of its place in the batch.</summary>
    /// <param name="firstToken">That of the call's first token.</param>
    public static RouterDraws From(RouterCall call, LayerStreams streams, int width, long firstToken = 0)
    {
        var draws = new RouterDraws();
        foreach (var kind in DrawKinds.All)
        {
            if (kind.Number is not { } number || !kind.IsUsed(call)) continue;
            var each = kind.Each(call, width);
            var (stream, first, values) = (streams[kind.Use], (ulong)(firstToken * each), new float[call.Tokens * each]);
            for (var i = 0; i < values.Length; i++) values[i] = (float)number(call.Dialect, stream, first + (ulong)i);
            draws = kind.With(draws, values);
        }
        return draws;
    }
}
