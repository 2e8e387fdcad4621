using SparseExperts.Layers;
using SparseExperts.Routing;
using SparseExperts.Text;

namespace SparseExperts.Models;

/// <summary>
/// T5's encoder and decoder, with sparse feed-forward layers in every n-th block: the Switch Transformer (Raffel et al. 2020; Fedus et al. 2022).
/// With <see cref="Experts"/> = 0 it is the dense twin: the same FLOPs a token.
/// </summary>
public sealed record T5Config : ITextToTextConfig
{
    public const string FamilyName = "t5";

    /// <summary>Ids; by default 256 bytes, padding, the end of a text and 100 sentinels.</summary>
    public int Vocabulary { get; init; } = 358;

    /// <summary>Tokens that the encoder reads.</summary>
    public int Context { get; init; } = 128;

    /// <summary>Tokens that the decoder writes.</summary>
    public int TargetContext { get; init; } = 64;
    public int Width { get; init; } = 64;
    public int Heads { get; init; } = 4;

    /// <summary>Width of a head; all heads together need not be as wide as the model.</summary>
    public int HeadWidth { get; init; } = 16;
    public int Hidden { get; init; } = 256;
    public int EncoderLayers { get; init; } = 2;
    public int DecoderLayers { get; init; } = 2;

    /// <summary>Block i of a stack is sparse where i mod step is 1, or the step is 1; 0 is never (transformers modeling_switch_transformers.py).</summary>
    public int EncoderSparseStep { get; init; } = 2;
    public int DecoderSparseStep { get; init; } = 2;
    public int Experts { get; init; } = 8;

    /// <summary>What the sparse layers compute.</summary>
    public Dialect Dialect { get; init; } = BuiltIn.Named("mesh.switch");

    /// <summary>A stack of which every block is sparse adds no auxiliary losses, as in transformers.</summary>
    public bool SparseStacksAreFree { get; init; }
    public int Tasks { get; init; } = 1;

    /// <summary>Dropout of embeddings, of what each layer adds, of dense hidden layers and of what a stack returns.</summary>
    public double Dropout { get; init; }
    public double ExpertDropout { get; init; }
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>Whether feed-forward layers, experts too, are act(x·W₀)∘(x·W₁) in place of act(x·W) (Shazeer 2020).</summary>
    public bool Gated { get; init; }

    /// <summary>Whether the logits are products with the embedding, of an output times D^−½.</summary>
    public bool TiedHead { get; init; } = true;
    public int RelativeBuckets { get; init; } = RelativePositions.Buckets;
    public int RelativeMaxDistance { get; init; } = RelativePositions.MaxDistance;

    /// <summary>ε of the norms: x/√(mean x² + ε).</summary>
    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>What the model computes in; the weights that the optimizer keeps are float32 in any.</summary>
    public ModelFormat Format { get; init; }

    /// <summary>What the decoder reads first, and where a label is ignored.</summary>
    public int StartId { get; init; } = 256;
    public int PaddingId { get; init; } = 256;

    /// <summary>What ends a text.</summary>
    public int EndId { get; init; } = 257;

    /// <summary>Scale s of the start values: truncated normal, σ = √(s/fan_in) (Fedus et al. 2022, section 2.4).</summary>
    public double InitialScale { get; init; } = 0.1;

    public string Family => FamilyName;
    public string Title => $"width {Width} × {EncoderLayers} + {DecoderLayers} layers";
    public IReadOnlyList<int> Lengths => [Context, TargetContext];

    /// <summary>Width of all heads together.</summary>
    public int Inner => Heads * HeadWidth;

    /// <summary>Experts that a token is meant to meet in a sparse block.</summary>
    public int ExpertsPerToken => ActiveExperts.PerToken(Dialect, Experts);

    public bool IsSparse(bool decoder, int block) => Experts > 0 && (decoder ? DecoderSparseStep : EncoderSparseStep) is var step and > 0
        && (step == 1 || block % step == 1);

    /// <summary>Sparse blocks of both stacks.</summary>
    public int SparseBlocks =>
        Enumerable.Range(0, EncoderLayers).Count(i => IsSparse(decoder: false, i)) + Enumerable.Range(0, DecoderLayers).Count(i => IsSparse(decoder: true, i));

    /// <summary>What the parameters of a sparse block depend on.</summary>
    internal LayerShape LayerShape(bool decoder, int block) => new(Format.Of(Dialect), Width, Hidden, Experts)
    {
        Vocabulary = Vocabulary,
        Tasks = Tasks,
        Gated = Gated,
        FollowsRouter = Enumerable.Range(0, block).Any(i => IsSparse(decoder, i)),
        SlotsPerExpert = Dialect.Router == RouterForm.SlotSimilarity
            ? SoftLayer.SlotsPerExpert(new() { Dialect = Dialect, Groups = 1, Size = decoder ? TargetContext : Context, Experts = Experts, Training = true })
            : 1,
    };

    /// <summary>One line for every value that cannot be.</summary>
    public void Validate()
    {
        Require(Vocabulary >= 2, $"vocabulary {Vocabulary}: at least 2");
        Require(Context >= 1 && TargetContext >= 1, $"context {Context}, target context {TargetContext}: at least 1");
        Require(Math.Max(Context, TargetContext) <= 1 << 20 && Math.Max(Width, Inner) <= 1 << 16 && Hidden <= 1 << 20
            && Math.Max(EncoderLayers, DecoderLayers) <= 1024, $"{Title}, hidden {Hidden}, context {Context}: larger than this program can hold");
        Require(Width >= 1 && Heads >= 1 && HeadWidth >= 1 && Hidden >= 1, $"width {Width}, {Heads} heads of {HeadWidth}, hidden {Hidden}: at least 1");
        Require(EncoderLayers >= 1 && DecoderLayers >= 1, $"layers {EncoderLayers} + {DecoderLayers}: at least 1 of each");
        Require(Experts is 0 or >= 2 and <= 4096, $"experts {Experts}: between 2 and 4096, or 0 for the dense twin");
        Require(EncoderSparseStep >= 0 && DecoderSparseStep >= 0, $"sparse steps {EncoderSparseStep}, {DecoderSparseStep}: 0 or more");
        Require(ExpertKinds.HasTwin(Activation), $"activation {Activation}: choose one of {ExpertKinds.Known}");
        Require(Tasks >= 1, $"tasks {Tasks}: at least 1");
        Require(Dropout is >= 0 and < 1 && ExpertDropout is >= 0 and < 1, $"dropout {Dropout}, expert dropout {ExpertDropout}: within [0, 1)");
        Require(RelativeBuckets >= 4 && RelativeBuckets % 2 == 0 && RelativeMaxDistance >= 1,
            $"{RelativeBuckets} buckets up to distance {RelativeMaxDistance}: an even number of at least 4, up to at least 1");
        Require(NormEpsilon > 0 && InitialScale > 0, $"norm ε {NormEpsilon}, initial scale {InitialScale}: positive numbers");
        Require(new[] { StartId, PaddingId, EndId }.All(id => id >= 0 && id < Vocabulary),
            $"start {StartId}, padding {PaddingId}, end {EndId}: ids below the vocabulary of {Vocabulary}");
        if (Experts > 0) ActiveExperts.Validate(Dialect, Experts, ExpertDropout);
    }

    public void ValidateSize(int sequences)
    {
        const long limit = 1 << 30;
        var weights = Math.Max(1L, Experts) * Width * Hidden;
        Require(weights <= limit,
            $"{Experts} experts of {Width} × {Hidden}: {weights} numbers in one matrix, at most {limit}; choose fewer or smaller experts");
        var scores = (double)sequences * Heads * Math.Max(Context, TargetContext) * Math.Max(Context, TargetContext);
        if (scores <= limit) return;
        var what = $"batch {sequences} of {Context} tokens: {scores:0} attention scores, at most {limit}";
        throw new ConfigurationException($"{what}; lower the batch or the context", "batch", "context");
    }

    public IModelConfig With(ModelChanges changes)
    {
        var dialect = changes.Dialect ?? Dialect;
        return this with
        {
            Experts = changes.ExpertsFor(dialect, Experts),
            Dialect = dialect,
            Context = changes.Context ?? Context,
            Vocabulary = changes.Vocabulary ?? Vocabulary,
            Width = changes.Width ?? Width,
            Heads = changes.Width is { } width ? Math.Max(1, width / HeadWidth) : Heads,
            Hidden = changes.Width is { } wide ? 4 * wide : Hidden,
            EncoderLayers = changes.Layers ?? EncoderLayers,
            DecoderLayers = changes.Layers ?? DecoderLayers,
            Dropout = changes.Dropout ?? Dropout,
            ExpertDropout = changes.ExpertDropout ?? ExpertDropout,
            Format = changes.Format ?? Format,
        };
    }

    public ITextToTextConfig For(int inputs, int targets, TextToTextIds ids) =>
        this with { Context = inputs, TargetContext = targets, PaddingId = ids.Padding, StartId = ids.Start, EndId = ids.End };

    public ModelSize? Size() => T5Size.Of(this);
    public HubCounterpart? OnHub() => new(T5Hub.ToJson(this), "spiece.model");

    public IReadOnlyList<(string Name, string Value)> Describe() =>
    [
        ("model", $"encoder and decoder of width {Width}, {EncoderLayers} + {DecoderLayers} layers, {Heads} heads of {HeadWidth}, hidden {Hidden}"
            + $"{(Gated ? ", gated" : "")}, {Activation}, {Context} tokens in, {TargetContext} out"),
        .. Format == ModelFormat.Float32 ? [] : new[] { ("format", Format == ModelFormat.Selective ? "bfloat16, routers float32" : "bfloat16") },
        ("experts", Experts == 0 ? "none: the dense twin" : $"{Experts} in {SparseBlocks} of {EncoderLayers + DecoderLayers} blocks"),
        ("dialect", Experts == 0 ? "none" : $"{Dialect.Name}: {Dialect.Summary}"),
    ];

    static void Require(bool condition, string line)
    {
        if (!condition) throw new ConfigurationException(line);
    }
}
