namespace SparseExperts.Routing;

/// <summary>Everything about one call of a sparse layer besides its tensors.</summary>
/// <remarks>T = G·S tokens in G groups of S; E experts.</remarks>
public sealed record RouterCall
{
    readonly Dialect _dialect = null!, _settled = null!;
    readonly bool _training;

    /// <summary>The rules of this call: the given dialect as it stands in the call's mode (<see cref="Dialect.For"/>), compiled once.</summary>
    public required Dialect Dialect
    {
        get => _settled;
        init
        {
            _dialect = value;
            _settled = value.For(_training);
        }
    }
    public required int Groups { get; init; }

    /// <summary>Tokens a group, S.</summary>
    public required int Size { get; init; }
    public required int Experts { get; init; }
    public required bool Training
    {
        get => _training;
        init
        {
            _training = value;
            _settled = _dialect is null ? null! : _dialect.For(value);
        }
    }

    /// <summary>Dropout draws a number for every choice of a token, so that how many choices a plan has is part of the result.</summary>
    internal bool DropsByChoice { get; init; }

    /// <summary>
    /// One number a token: 1 for a token, 0 for padding; empty means that all are tokens. A part of a two-level layer gives ½ to whom the level above sent
    /// as a second choice: it makes no first choice there, and counts as padding in what counts first choices.
    /// </summary>
    public float[] TokenMask { get; init; } = [];
    public RouterDraws Draws { get; init; } = new();

    /// <summary>Token ids [T] of hash routers and of routers that see the embedding.</summary>
    public int[] TokenIds { get; init; } = [];

    /// <summary>Task, domain or modality of every token [T].</summary>
    public int[] TaskIds { get; init; } = [];

    /// <summary>Table [V, K] from a token's id, or its place, to experts; and the gates that stand in it, empty where none do.</summary>
    public int[] Table { get; init; } = [];
    public float[] TableGates { get; init; } = [];

    /// <summary>Number format of the tokens and of the experts' arithmetic.</summary>
    public NumberFormat Format { get; init; } = NumberFormat.Float32;

    /// <summary>Number format in which scores and gates are computed.</summary>
    public NumberFormat ScoreFormat { get; init; } = NumberFormat.Float32;

    /// <summary>Number format of the logits, in which the losses that start from them are computed.</summary>
    public NumberFormat LogitsFormat { get; init; } = NumberFormat.Float32;

    /// <summary>Number format of the experts' products, of their non-linearity, and of the sum over a token's choices.</summary>
    public NumberFormat ExpertsFormat => Dialect.ExpertsDtype ?? Format;
    public NumberFormat ActivationFormat => Dialect.ActivationDtype ?? ExpertsFormat;
    public NumberFormat SumFormat => Dialect.SumDtype ?? Format;

    /// <summary>Experts that have weights: neither those that return their input nor those that are none.</summary>
    public int HeldExperts => Experts - Dialect.IdentityExperts - Dialect.NullExperts;

    /// <summary>What solvers may spend on this call; without limit where nobody sets one.</summary>
    public Effort Effort { get; init; } = new();

    /// <summary>Sequences that the tokens of a layer lie in, one after the other; its groups where nobody says.</summary>
    public int Sequences { get => field > 0 ? field : Groups; init; }

    /// <summary>Layers whose tokens this call has one below the other; more than one where their losses are pooled.</summary>
    public int Layers { get; init; } = 1;

    /// <summary>The place of the first token in the whole batch.</summary>
    public int FirstToken { get; init; }

    /// <summary>Choices of every expert [E] in earlier micro-batches, or on other ranks, that a balance loss counts too; empty for none.</summary>
    public double[] PreviousCount { get; init; } = [];

    /// <summary>Names the layer in messages.</summary>
    public string Where { get; init; } = "layer";

    /// <summary>The call's one group goes on in the other shards of the batch.</summary>
    public bool SpansShards { get; init; }

    /// <summary>The plan of this call where it was made elsewhere, from all tokens that compete.</summary>
    public RoutingPlan? Plan { get; init; }

    public int Tokens => Groups * Size;
    public int K => Dialect.K;
    public bool IsReal(int token) => TokenMask.Length == 0 || TokenMask[token] == 1;
    /// <summary>Whether a token has a correction bias of its own kind: task 1 and above; none where nobody says.</summary>
    public bool IsImage(int token) => TaskIds.Length > 0 && TaskIds[token] > 0;
    public int RealIn(int group) => TokenMask.Length == 0 ? Size : Enumerable.Range(group * Size, Size).Count(IsReal);
    public bool Is(Phase phase) => Dialect.In(phase, Training);

    /// <summary>Whether the router's input is jittered in this call.</summary>
    public bool Jitters =>
        Dialect.RouterPolicy == RouterPolicy.InputJitter && Is(Dialect.RouterPolicyPhase) && (Dialect.Jitter > 0 || Draws.Jitter is not null);

    /// <summary>Whether noise is added to the logits in this call.</summary>
    public bool IsNoisy => Is(Dialect.NoisePhase) && Dialect.Noise switch
    {
        LogitNoise.None => false,
        LogitNoise.NormalPerExperts => Dialect.NoiseStd != 0,
        LogitNoise.Gumbel => Dialect.NoiseMultiplier != 0,
        LogitNoise.NormalSoftplus or LogitNoise.UniformShift => true,
        var other => throw new RoutingException($"{Where}: unknown noise {other}"),
    };
}

/// <summary>
/// Numbers [T, E] as the host sees them, each with a bound on its error: 0 where the number itself is the fact that decisions are made
/// from, more where it was recomputed. They are fetched when somebody first looks.
/// </summary>
public sealed class Numbers
{
    readonly Lazy<(double[] Values, double[] Errors)> _numbers;

    public Numbers(double[] values) : this(values, new double[values.Length]) { }
    public Numbers(double[] values, double[] errors) => _numbers = new((values, errors));
    public Numbers(Func<(double[] Values, double[] Errors)> fetch) => _numbers = new(fetch, LazyThreadSafetyMode.None);

    public double[] Values => _numbers.Value.Values;
    public double[] Errors => _numbers.Value.Errors;
    public double this[int token, int expert, int experts] => Values[token * experts + expert];
}

/// <summary>Scores or settings that no plan can be made from.</summary>
public sealed class RoutingException(string message) : Exception(message);
