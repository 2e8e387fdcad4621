using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models.Hub;

namespace SparseExperts.Models;

/// <summary>Makes a model of a configuration.</summary>
/// <param name="shard">The part of every matrix that is held here; null for all of it.</param>
public delegate IModel ModelMaker(Tape tape, IModelConfig config, IWeightSource source, Func<WeightPart, WeightPart>? shard = null);

/// <summary>A kind of model: what its configuration is and how it is made.</summary>
/// <param name="Name">As <c>config.json</c> says it.</param>
/// <param name="Config">The type of its <see cref="IModelConfig"/>, which is what stands under <c>model</c>.</param>
/// <param name="OfCheckpoint">The configuration of a checkpoint of the hub, or null where it is none of this family.</param>
public sealed record ModelFamily(string Name, Type Config, ModelMaker Create, Func<HubFolder, IModelConfig?> OfCheckpoint)
{
    /// <summary>All families, in one place.</summary>
    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new(ModelConfig.FamilyName, typeof(ModelConfig),
            (tape, config, source, shard) => new LanguageModel(tape, (ModelConfig)config, source, shard), _ => null),
        new(T5Config.FamilyName, typeof(T5Config),
            (tape, config, source, shard) => new T5Model(tape, (T5Config)config, source, shard), T5Hub.Of),
        new(HubModelConfig.FamilyName, typeof(HubModelConfig),
            (tape, config, source, shard) => new HubModel(tape, (HubModelConfig)config, source, shard), HubModelConfig.Of),
    ];

    /// <exception cref="ConfigurationException">There is none of that name.</exception>
    public static ModelFamily Find(string name) => All.FirstOrDefault(f => f.Name == name)
        ?? throw new ConfigurationException($"family '{name}': unknown; this program knows {string.Join(", ", All.Select(f => f.Name))}");

    /// <summary>A model of its configuration's family.</summary>
    public static IModel Make(Tape tape, IModelConfig config, IWeightSource source, Func<WeightPart, WeightPart>? shard = null) =>
        Find(config.Family).Create(tape, config, source, shard);
}
