using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models;

public enum Positions { Rotary, T5Relative }

public enum Normalisation { LayerNorm, RmsNorm }

/// <summary>How weights start: "Scaled" is σ = gain/√fan_in; "Switch" is a truncated normal of scale 0.1 (Fedus et al. 2022, section 2.4).</summary>
public enum Initialisation { Scaled, Switch }

/// <summary>
/// A decoder-only language model on bytes. With <see cref="Experts"/> = 0 it is the dense twin: the same FLOPs a token, one
/// feed-forward layer where the sparse model has E.
/// </summary>
public sealed record ModelConfig : IModelConfig
{
    public const string FamilyName = "decoder";

    public int Vocabulary { get; init; } = 256;
    public int Context { get; init; } = 128;
    public int Width { get; init; } = 64;
    public int Layers { get; init; } = 3;
    public int HeadWidth { get; init; } = 16;
    public int Hidden { get; init; } = 256;
    public int Experts { get; init; } = 16;

    /// <summary>Every n-th block is sparse: 1 all of them, 2 the second, fourth, …</summary>
    public int SparseEvery { get; init; } = 1;
    /// <summary>What the sparse layers compute.</summary>
    public Dialect Dialect { get; init; } = DefaultDialect;

    /// <summary>The Switch layer of Mesh-TensorFlow with roomier experts, without jitter, the whole batch competing.</summary>
    public static Dialect DefaultDialect { get; } = BuiltIn.Named("mesh.switch") with
    {
        CapacityFactor = 1.5,
        EvalCapacityFactor = 4,
        RouterPolicy = RouterPolicy.Argmax,
        GroupSize = 0,
    };

    /// <summary>Parts of the text that count as tasks, for routers that go by task; as many as there are experts at most.</summary>
    public int Tasks { get; init; } = 4;
    public double Dropout { get; init; }
    public double ExpertDropout { get; init; }
    public Positions Positions { get; init; } = Positions.Rotary;
    public Normalisation Normalisation { get; init; } = Normalisation.LayerNorm;
    public Activation Activation { get; init; } = Activation.GeluErf;
    public Initialisation Initialisation { get; init; } = Initialisation.Scaled;

    public string Family => FamilyName;
    public string Title => $"width {Width} × {Layers} layers";
    public int Heads => Width / HeadWidth;
    public bool IsSparse(int block) => Experts > 0 && (block + 1) % SparseEvery == 0;

    /// <summary>What the parameters of a sparse block depend on.</summary>
    internal LayerShape LayerShape => new(Dialect, Width, Hidden, Experts)
    {
        Vocabulary = Vocabulary,
        Tasks = Tasks,
        SlotsPerExpert = Dialect.Router == RouterForm.SlotSimilarity
            ? SoftLayer.SlotsPerExpert(new() { Dialect = Dialect, Groups = 1, Size = Context, Experts = Experts, Training = true })
            : 1,
    };

    /// <summary>How projections start; <paramref name="gain"/> is for scaled starts.</summary>
    internal Start ProjectionStart(int input, double gain) => Initialisation switch
    {
        Initialisation.Switch => Starts.TruncatedNormal(0.1, input),
        Initialisation.Scaled => Starts.Normal(gain / Math.Sqrt(input)),
        _ => throw new ConfigurationException($"initialisation {Initialisation}: unknown"),
    };

    /// <summary>Experts that a token is meant to meet in a sparse block: its choices, or all where all are mixed.</summary>
    public int ExpertsPerToken => ActiveExperts.PerToken(Dialect, Experts);

    /// <summary>One line for every value that cannot be.</summary>
    public void Validate()
    {
        Require(Vocabulary >= 2, $"vocabulary {Vocabulary}: at least 2");
        Require(Context >= 2, $"context {Context}: at least 2 bytes");
        Require(Context <= 1 << 20 && Width <= 1 << 16 && Hidden <= 1 << 20 && Layers <= 1024,
            $"context {Context}, width {Width}, hidden {Hidden}, layers {Layers}: larger than this program can hold");
        Require(Width >= 2 && HeadWidth >= 2 && Width % HeadWidth == 0, $"width {Width} with head width {HeadWidth}: the head width must divide the width");
        Require(Positions != Positions.Rotary || HeadWidth % 2 == 0, $"head width {HeadWidth}: rotary positions need an even one");
        Require(Layers >= 1, $"layers {Layers}: at least 1");
        Require(Hidden >= 1, $"hidden {Hidden}: at least 1");
        Require(Experts is 0 or >= 2 and <= 4096, $"experts {Experts}: between 2 and 4096, or 0 for the dense twin");
        Require(SparseEvery >= 1, $"sparse every {SparseEvery}: at least 1");
        Require(ExpertKinds.HasTwin(Activation), $"activation {Activation}: choose one of {ExpertKinds.Known}");
        Require(Tasks >= 1, $"tasks {Tasks}: at least 1");
        Require(Dropout is >= 0 and < 1 && ExpertDropout is >= 0 and < 1, $"dropout {Dropout}, expert dropout {ExpertDropout}: within [0, 1)");
        if (Experts > 0) ActiveExperts.Validate(Dialect, Experts, ExpertDropout);
    }

    public void ValidateSize(int sequences)
    {
        const long limit = 1 << 30;
        var weights = Math.Max(1L, Experts) * Width * Hidden;
        Require(weights <= limit,
            $"{Experts} experts of {Width} × {Hidden}: {weights} numbers in one matrix, at most {limit}; choose fewer or smaller experts");
        var scores = (double)sequences * Heads * Context * Context;
        if (scores <= limit) return;
        var what = $"batch {sequences} of {Context} bytes: {scores:0} attention scores, at most {limit}";
        throw new ConfigurationException($"{what}; lower the batch or the context", "batch", "context");
    }

    public IModelConfig With(ModelChanges changes)
    {
        if (changes.Format is { } format and not ModelFormat.Float32)
            throw new ConfigurationException(
                $"format {format.ToString().ToLowerInvariant()}: family {FamilyName} computes in float32; choose a preset of another family");
        var dialect = changes.Dialect ?? Dialect;
        return this with
        {
            Experts = changes.ExpertsFor(dialect, Experts),
            Dialect = dialect,
            Context = changes.Context ?? Context,
            Vocabulary = changes.Vocabulary ?? Vocabulary,
            Width = changes.Width ?? Width,
            Hidden = changes.Width is { } width ? 4 * width : Hidden,
            Layers = changes.Layers ?? Layers,
            Dropout = changes.Dropout ?? Dropout,
            ExpertDropout = changes.ExpertDropout ?? ExpertDropout,
        };
    }

    public ModelSize? Size() => DecoderSize.Of(this);

    public IReadOnlyList<(string Name, string Value)> Describe() =>
    [
        ("model", $"width {Width}, {Layers} layers, {Heads} heads, hidden {Hidden}, context {Context}, {Positions}, {Normalisation}, {Activation}"),
        ("experts", Experts == 0 ? "none: the dense twin" : $"{Experts} in every {(SparseEvery == 1 ? "" : SparseEvery + ". ")}block"),
        ("dialect", Experts == 0 ? "none" : $"{Dialect.Name}: {Dialect.Summary}"),
    ];

    static void Require(bool condition, string line)
    {
        if (!condition) throw new ConfigurationException(line);
    }
}

/// <summary>A setting that cannot be; one line with the value and what is allowed.</summary>
public sealed class ConfigurationException(string message, params string[] settings) : Exception(message), INamesSettings
{
    public IReadOnlyList<string> Settings { get; } = settings;
}
