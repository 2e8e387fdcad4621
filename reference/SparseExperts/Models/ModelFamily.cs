using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Models.Hub;

namespace SparseExperts.Models;

/// <summary>A kind of model: what its configuration is and how it is made.</summary>
/// <param name="Name">As <c>config.json</c> says it.</param>
/// <param name="Config">The type of its <see cref="IModelConfig"/>, which is what stands under <c>model</c>.</param>
public sealed record ModelFamily(string Name, Type Config, Func<Tape, IModelConfig, IWeightSource, IModel> Create)
{
    /// <summary>All families, in one place.</summary>
    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new(ModelConfig.FamilyName, typeof(ModelConfig), (tape, config, source) => new LanguageModel(tape, (ModelConfig)config, source)),
        new(T5Config.FamilyName, typeof(T5Config), (tape, config, source) => new T5Model(tape, (T5Config)config, source)),
        new(HubModelConfig.FamilyName, typeof(HubModelConfig), (tape, config, source) => new HubModel(tape, (HubModelConfig)config, source)),
    ];

    /// <exception cref="ConfigurationException">There is none of that name.</exception>
    public static ModelFamily Find(string name) => All.FirstOrDefault(f => f.Name == name)
        ?? throw new ConfigurationException($"family '{name}': unknown; this program knows {string.Join(", ", All.Select(f => f.Name))}");

    /// <summary>A model of its configuration's family.</summary>
    public static IModel Make(Tape tape, IModelConfig config, IWeightSource source) => Find(config.Family).Create(tape, config, source);
}
