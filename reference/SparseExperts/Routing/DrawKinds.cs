namespace SparseExperts.Routing;

/// <summary>
/// One kind of random numbers of a router call, declared once: requirements, drawing, probes and case files read it here.
/// </summary>
/// <param name="Name">Its name in case files, behind <c>draws.</c></param>
/// <param name="Shape">Axis letters: G groups, S tokens of a group, M width, E experts, J choices, R groups of experts, I experts of a group.</param>
/// <param name="Use">Its stream.</param>
public sealed record DrawKind(string Name, string Shape, RandomUse Use, Func<RouterDraws, float[]?> Of, Func<RouterDraws, float[], RouterDraws> With)
{
    /// <summary>Whether a call's result depends on it.</summary>
    public required Func<RouterCall, bool> IsUsed { get; init; }

    /// <summary>Number i of a stream; null where it is only ever given, in the place of <see cref="Instead"/>.</summary>
    public Func<Dialect, RandomStream, ulong, double>? Number { get; init; }

    /// <summary>Another kind that serves as well where this one is missing.</summary>
    public DrawKind? Instead { get; init; }

    /// <summary>The axis and value that need it to choose experts and slots; null where an earlier stage asks for it.</summary>
    public Func<RouterCall, string?> NeededBy { get; init; } = _ => null;

    /// <summary>Numbers of one token.</summary>
    public int Each(RouterCall call, int width) => Shape[2..].Aggregate(1, (product, letter) => product * Size(call, width, letter));

    /// <summary>The shape in numbers.</summary>
    public long[] Sizes(RouterCall call, int width) => [.. Shape.Select(letter => (long)Size(call, width, letter))];

    static int Size(RouterCall call, int width, char letter) => letter switch
    {
        'G' => call.Groups,
        'S' => call.Size,
        'M' => width,
        'E' => call.Experts,
        'J' => call.K,
        'R' => Math.Max(1, call.Dialect.Groups),
        'I' => call.Experts / Math.Max(1, call.Dialect.Groups),
        _ => throw new ArgumentOutOfRangeException(nameof(letter), letter, "unknown axis letter"),
    };
}

/// <summary>All kinds of random numbers that routers use.</summary>
public static class DrawKinds
{
    static readonly Func<Dialect, RandomStream, ulong, double> Uniform = (_, stream, i) => Philox.UniformDouble(stream, i);
    static readonly Func<Dialect, RandomStream, ulong, double> Normal = (_, stream, i) => Philox.Normal(stream, i);

    static readonly DrawKind GivenGumbel = new("gumbel", "GSE", RandomUse.Gumbel, d => d.Gumbel, (d, v) => d with { Gumbel = v }) { IsUsed = _ => false };
    static readonly DrawKind GivenSecond = new("second", "GS", RandomUse.Policy, d => d.Second, (d, v) => d with { Second = v }) { IsUsed = _ => false };

    public static IReadOnlyList<DrawKind> All { get; } =
    [
        new("jitter", "GSM", RandomUse.Jitter, d => d.Jitter, (d, v) => d with { Jitter = v })
        {
            IsUsed = c => c.Jitters,
            Number = (d, stream, i) => 1 + d.Jitter * (2 * Philox.UniformDouble(stream, i) - 1),
        },
        new("input_dropout", "GSM", RandomUse.InputDropout, d => d.InputDropout, (d, v) => d with { InputDropout = v })
        {
            IsUsed = c => c.Dialect.RouterPolicy == RouterPolicy.InputDropout && c.Is(c.Dialect.RouterPolicyPhase),
            Number = Uniform,
        },
        new("sample", "GSE", RandomUse.ExpertSample, d => d.Sample, (d, v) => d with { Sample = v })
        {
            IsUsed = c => Samples(c) || c.Dialect.Selection == Selection.Random || c.Dialect.Selection == Selection.PolicySample && c.Training,
            Number = Uniform,
            NeededBy = c => Samples(c) ? "router_policy sample" : null,
        },
        new("noise", "GSE", RandomUse.Noise, d => d.Noise, (d, v) => d with { Noise = v })
        {
            IsUsed = c => c.IsNoisy && c.Dialect.Noise != LogitNoise.Gumbel && c.Dialect.Selection != Selection.TwoLevel,
            Number = (d, stream, i) => d.Noise == LogitNoise.UniformShift ? Philox.UniformDouble(stream, i) : Philox.Normal(stream, i),
        },
        new("uniform_gumbel", "GSE", RandomUse.Gumbel, d => d.UniformGumbel, (d, v) => d with { UniformGumbel = v })
        {
            IsUsed = c => GumbelAxis(c) is not null || c.IsNoisy && c.Dialect.Noise == LogitNoise.Gumbel,
            Number = Uniform,
            Instead = GivenGumbel,
            NeededBy = GumbelAxis,
        },
        GivenGumbel,
        new("policy", "GSJ", RandomUse.Policy, d => d.Policy, (d, v) => d with { Policy = v })
        {
            IsUsed = RandomPolicy,
            Number = Uniform,
            Instead = GivenSecond,
            NeededBy = c => RandomPolicy(c) ? "policy random" : null,
        },
        GivenSecond,
        new("second_place", "GS", RandomUse.SecondPlace, d => d.SecondPlace, (d, v) => d with { SecondPlace = v })
        {
            IsUsed = c => c.Training && c.Dialect.SecondPlaceProbability > 0,
            Number = Uniform,
        },
        new("second_place_sample", "GSE", RandomUse.SecondPlaceSample, d => d.SecondPlaceSample, (d, v) => d with { SecondPlaceSample = v })
        {
            IsUsed = c => c.Training && c.Dialect.SecondPlaceProbability > 0 && c.Dialect.SecondPlaceTemperature > 0,
            Number = Uniform,
        },
        new("rts", "GSE", RandomUse.TokenSelection, d => d.Rts, (d, v) => d with { Rts = v })
        {
            IsUsed = DropsAtRandom,
            Number = Uniform,
            NeededBy = c => DropsAtRandom(c) ? "drop_policy random" : null,
        },
        new("primary_noise", "GSR", RandomUse.PrimaryNoise, d => d.PrimaryNoise, (d, v) => d with { PrimaryNoise = v })
        {
            IsUsed = c => c.IsNoisy && c.Dialect.Selection == Selection.TwoLevel,
            Number = Normal,
        },
        new("secondary_noise", "GSRI", RandomUse.SecondaryNoise, d => d.SecondaryNoise, (d, v) => d with { SecondaryNoise = v })
        {
            IsUsed = c => c.IsNoisy && c.Dialect.Selection == Selection.TwoLevel,
            Number = Normal,
        },
    ];

    static bool Samples(RouterCall c) =>
        c.Dialect is { RouterPolicy: RouterPolicy.Sample, Temperature: > 0, JitterAlone: false } && c.Dialect.Selection != Selection.ExpertChoice;

    static bool RandomPolicy(RouterCall c) => c.Dialect.Policy == Policy.Random && c.K > 1;

    static bool DropsAtRandom(RouterCall c) => c.Dialect is { DropPolicy: DropPolicy.Random } d && d.CapacityFormula != CapacityFormula.None;

    static string? GumbelAxis(RouterCall c) =>
        c.Dialect.Policy == Policy.Sample && c.K > 1 ? "policy sample"
        : c.Dialect.RouterPolicy == RouterPolicy.GumbelLogits && c.Is(c.Dialect.RouterPolicyPhase) ? "router_policy gumbel_logits"
        : null;
}
