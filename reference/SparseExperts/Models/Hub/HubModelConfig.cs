using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Routing;

namespace SparseExperts.Models.Hub;

/// <summary>A decoder model of the hub: its <c>config.json</c> as it stands there.</summary>
public sealed record HubModelConfig : IModelConfig
{
    public const string FamilyName = "hf";

    HubDecoder? _hub;

    /// <summary>Tokens of a sequence where a checkpoint would have more.</summary>
    const int LongestContext = 512;

    /// <summary>The model of a checkpoint; null where it is no decoder.</summary>
    public static HubModelConfig? Of(HubFolder checkpoint) => checkpoint.Config is not HubDecoder decoder ? null
        : new()
        {
            Config = HubConfig.ReadJson(checkpoint.Path),
            Context = Math.Max(2, Math.Min(decoder.Positions, LongestContext)),
            Format = checkpoint.WeightFormat,
        };

    /// <summary>The checkpoint's configuration.</summary>
    public JsonObject Config { get; init; } = [];

    /// <summary>Tokens of a sequence in training and evaluation.</summary>
    public int Context { get; init; } = 128;

    /// <summary>The format that every op's result is rounded to.</summary>
    public NumberFormat Format { get; init; } = NumberFormat.Float32;

    /// <summary>Dropout of what each half of a layer adds, while training.</summary>
    public double Dropout { get; init; }
    public double ExpertDropout { get; init; }

    /// <summary>Where the configuration came from, for messages.</summary>
    [JsonIgnore]
    public string Where { get; init; } = "config.json";

    /// <summary>What the configuration says.</summary>
    /// <exception cref="ConfigurationException">It is not of a decoder that is known; one line.</exception>
    [JsonIgnore]
    public HubDecoder Hub
    {
        get
        {
            if (_hub is not null) return _hub;
            try
            {
                return _hub = HubConfig.Parse(Config.ToJsonString(), Where) as HubDecoder
                    ?? throw new ConfigurationException($"{Where}: an encoder-decoder is no model of the family {FamilyName}");
            }
            catch (InvalidFileException e)
            {
                throw new ConfigurationException(e.Message);
            }
        }
    }

    [JsonIgnore]
    public string Family => FamilyName;
    [JsonIgnore]
    public int Vocabulary => Hub.Vocabulary;
    [JsonIgnore]
    public int Experts => Hub.Experts;
    [JsonIgnore]
    public Dialect Dialect => Hub.Dialect;
    [JsonIgnore]
    public bool ReadsStartOfText => true;
    [JsonIgnore]
    public int Tasks => 1;
    [JsonIgnore]
    public string Title => $"{Hub.ModelType}, width {Hub.Width} × {Hub.Layers.Count} layers";

    [JsonIgnore]
    public string? FixedBy => $"an imported decoder ({Hub.ModelType}), whose sizes and rules are those of its checkpoint";

    /// <summary>Dropout is no part of a checkpoint; all else is.</summary>
    public IModelConfig With(ModelChanges changes) => changes with { Dropout = null, ExpertDropout = null } == new ModelChanges()
        ? this with { Dropout = changes.Dropout ?? Dropout, ExpertDropout = changes.ExpertDropout ?? ExpertDropout }
        : throw new ConfigurationException($"only dropout can be changed of {FixedBy}");

    public HubCounterpart? OnHub() => new(HubForms.Both(Config));

    public IReadOnlyList<(string Name, string Value)> Describe() =>
    [
        ("model", $"{Hub.ModelType}, width {Hub.Width}, {Hub.Layers.Count} layers, {Hub.Heads} heads, vocabulary {Hub.Vocabulary}, context {Context}"),
        ("experts", Experts == 0 ? "none" : $"{Experts} in {Hub.Layers.Count(l => l.IsSparse)} layers"),
        ("dialect", Experts == 0 ? "none" : $"{Dialect.Name}: {Dialect.Summary}"),
    ];

    public void Validate()
    {
        if (Context < 2) throw new ConfigurationException($"context {Context}: at least 2 tokens", "context");
        if (Dropout is not (>= 0 and < 1) || ExpertDropout is not (>= 0 and < 1))
            throw new ConfigurationException($"dropout {Dropout}, expert dropout {ExpertDropout}: within 0 and 1, 1 left out", "dropout", "expert_dropout");
        _ = Hub;
    }

    public void ValidateSize(int sequences)
    {
        const long limit = 1 << 30;
        var scores = (double)sequences * Hub.Heads * Context * Context;
        if (scores <= limit) return;
        var what = $"batch {sequences} of {Context} tokens: {scores:0} attention scores, at most {limit}";
        throw new ConfigurationException($"{what}; lower the batch or the context", "batch", "context");
    }

    public bool Equals(HubModelConfig? other) =>
        other is not null && (Context, Format, Dropout, ExpertDropout) == (other.Context, other.Format, other.Dropout, other.ExpertDropout)
            && JsonNode.DeepEquals(Config, other.Config);

    public override int GetHashCode() => HashCode.Combine(Context, Format, Config.Count);
}
