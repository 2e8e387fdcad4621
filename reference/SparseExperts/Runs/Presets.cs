using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>A named starting point: model, recipe and budget. Options of the command change single values of it.</summary>
public sealed record Preset(string Name, string Purpose, IModelConfig Model, TrainingConfig Training)
{
    /// <summary>The model of a preset for decoders.</summary>
    public ModelConfig Decoder => (ModelConfig)Model;
}

/// <summary>All presets, in one place.</summary>
public static class Presets
{
    static readonly ModelConfig BaseModel = new();

    public static IReadOnlyList<Preset> All { get; } =
    [
        new("tiny", "a smoke test of seconds",
            BaseModel with { Width = 32, Layers = 2, Hidden = 64, Experts = 4, Context = 64 },
            new() { Batch = 8, Steps = 60, WarmUp = 20 }),
        new("default", "two minutes on two cores", BaseModel, new() { Minutes = 2 }),
        new("small", "ten minutes on two cores", BaseModel with { Experts = 32 }, new() { Minutes = 10 }),
        new("medium", "an hour on two cores, with a little dropout against the many passes over the text",
            BaseModel with { Width = 96, Hidden = 384, Layers = 4, Context = 256, Dropout = 0.05, ExpertDropout = 0.2 },
            new() { Batch = 8, Minutes = 60, Rate = 2e-3, WeightDecay = 0.1 }),
        new("switch", "the layer as published: relu, capacity 1.25/2.0, groups of 1024, every other block sparse, T5 positions, RMSNorm, scale 0.1, Adafactor",
            new ModelConfig()
            {
                Width = 64, Layers = 4, Hidden = 256, Experts = 16, SparseEvery = 2, Dialect = BuiltIn.Named("mesh.switch"), ExpertDropout = 0.1,
                Activation = Activation.Relu, Positions = Positions.T5Relative, Normalisation = Normalisation.RmsNorm, Initialisation = Initialisation.Switch,
            },
            new() { Minutes = 5, Optimizer = OptimizerKind.Adafactor, Schedule = ScheduleKind.InverseSquareRoot, Rate = 1e-2, WeightDecay = 0 }),
        .. T5Presets.All,
    ];

    public static Preset Find(string name) => All.FirstOrDefault(p => p.Name == name)
        ?? throw new ConfigurationException($"preset '{name}': unknown; choose one of {string.Join(", ", All.Select(p => p.Name))}");
}
