using SparseExperts.Hub;
using SparseExperts.Routing;

namespace SparseExperts.Models.Hub;

/// <summary>When an RMS norm is rounded to the model's format.</summary>
public enum NormRounding
{
    /// <summary>Before its weight multiplies, and again behind it.</summary>
    BeforeWeight,

    /// <summary>Once, behind the weight (GPT-OSS, Gemma 4).</summary>
    Once,
}

/// <summary>The routed part of a layer.</summary>
/// <param name="Dialect">With the parameters that the configuration sets.</param>
public sealed record SparseForm(Dialect Dialect, int Experts, int Hidden)
{
    /// <summary>Width of the shared expert's hidden layer; 0 where there is none.</summary>
    public int SharedHidden { get; init; }

    /// <summary>Experts have biases.</summary>
    public bool Biases { get; init; }
}

/// <summary>One layer.</summary>
public sealed record LayerForm
{
    public required AttentionForm Attention { get; init; }

    /// <summary>Width of the dense feed-forward layer's hidden layer; 0 where there is none.</summary>
    public required int DenseHidden { get; init; }
    public required Activation Activation { get; init; }

    /// <summary>Experts in the dense layer's place, or beside it.</summary>
    public required SparseForm? Sparse { get; init; }
    public required double NormEpsilon { get; init; }
    public NormRounding NormRounding { get; init; }

    /// <summary>What multiplies each half before it joins the residual stream.</summary>
    public double ResidualFactor { get; init; } = 1;

    /// <summary>Norms behind each half and around both branches, a router that reads the residual stream, and a factor on the layer.</summary>
    public bool Gemma { get; init; }

    /// <summary>Those of a configuration.</summary>
    public static IReadOnlyList<LayerForm> Of(HubDecoder config)
    {
        var sparse = new SparseForm(config.Dialect, config.Experts, config.ExpertHidden)
        {
            SharedHidden = config.SharedHidden,
            Biases = config.ModelType == "gpt_oss",
        };
        return [.. config.Layers.Select(layer => new LayerForm
        {
            Attention = AttentionForm.Of(config, layer),
            DenseHidden = layer.IsSparse && !config.IsGemma ? 0 : config.Hidden,
            Activation = config.Activation,
            Sparse = layer.IsSparse ? sparse : null,
            NormEpsilon = config.NormEpsilon,
            NormRounding = RoundingOf(config),
            ResidualFactor = config.ResidualMultiplier,
            Gemma = config.IsGemma,
        })];
    }

    /// <summary>When a family's norms are rounded.</summary>
    public static NormRounding RoundingOf(HubDecoder config) =>
        config.IsGemma || config.ModelType == "gpt_oss" ? NormRounding.Once : NormRounding.BeforeWeight;
}
