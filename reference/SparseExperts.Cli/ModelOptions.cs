using System.CommandLine;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary>Options that change single values of a model's configuration, whatever its family is.</summary>
sealed class ModelOptions
{
    readonly Option<int?> _experts = new("--experts") { Description = "Experts of a sparse layer." };
    readonly Option<double?> _capacity = new("--capacity-factor") { Description = "Capacity factor while training." };
    readonly Option<string?> _dialect = new("--dialect")
    {
        Description = "How the sparse layers route: a name of moe dialects, or a JSON file. Default: the preset's.",
    };
    readonly Option<bool> _dense = new("--dense") { Description = "Train the dense twin: equal FLOPs a token, no experts." };
    readonly Option<int?> _context = new("--context") { Description = "Bytes a sequence; of an encoder, tokens that it reads." };
    readonly Option<int?> _width = new("--width") { Description = "Model width; the hidden width becomes four times as much." };
    readonly Option<int?> _layers = new("--layers") { Description = "Blocks; of an encoder and of a decoder each." };
    readonly Option<double?> _dropout = new("--dropout") { Description = "Dropout outside of the experts, while training." };
    readonly Option<double?> _expertDropout = new("--expert-dropout") { Description = "Dropout of the experts' hidden layer, while training." };

    readonly Option<ModelFormat?> _format = new("--format")
    {
        Description = "What an encoder and decoder compute in: float32, bfloat16, or selective: bfloat16 with routers in float32.",
    };

    public IEnumerable<Option> All => [_dialect, _experts, _capacity, _dense, _context, _width, _layers, _dropout, _expertDropout, _format];

    /// <summary>The configuration of a run that is begun with, with what was asked for, which leaves its weights their sizes.</summary>
    /// <param name="run">Of the model.</param>
    public IModelConfig Apply(ParseResult parsed, IModelConfig model, string run)
    {
        if (model.FixedBy is { } what && All.FirstOrDefault(o => o != _dropout && o != _expertDropout && IsGiven(parsed, o)) is { } option)
            throw new ConfigurationException($"{option.Name}: not for {what}; leave it out");
        (Option Option, ModelChanges Changes)[] sizes =
        [
            (_dense, new() { Experts = Experts(parsed) }),
            (_experts, new() { Experts = Experts(parsed) }),
            (_width, new() { Width = parsed.GetValue(_width) }),
            (_layers, new() { Layers = parsed.GetValue(_layers) }),
        ];
        foreach (var (size, changes) in sizes)
            if (IsGiven(parsed, size) && !model.With(changes).Equals(model))
                throw new ConfigurationException($"{size.Name}: not with --from, the weights of {run} have other sizes; leave it out");
        return Apply(parsed, model);
    }

    static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>Begins a trainer with the weights of a run; another dialect may need other ones.</summary>
    public void Load(ParseResult parsed, string run, Trainer trainer)
    {
        try
        {
            TrainingRun.LoadModel(run, trainer);
        }
        catch (RunException e) when (IsGiven(parsed, _dialect))
        {
            throw new ConfigurationException($"--dialect: the weights of {run} do not fit it ({e.Message}); choose one with such routers, or leave it out");
        }
    }

    /// <summary>The configuration with what was asked for.</summary>
    public IModelConfig Apply(ParseResult parsed, IModelConfig model) => model.With(new()
    {
        Experts = Experts(parsed),
        Dialect = Dialect(parsed, model.Dialect),
        Context = parsed.GetValue(_context),
        Width = parsed.GetValue(_width),
        Layers = parsed.GetValue(_layers),
        Dropout = parsed.GetValue(_dropout),
        ExpertDropout = parsed.GetValue(_expertDropout),
        Format = parsed.GetValue(_format),
    });

    int? Experts(ParseResult parsed)
    {
        var (dense, given) = (parsed.GetValue(_dense), parsed.GetValue(_experts));
        if (dense && given is not null) throw new ConfigurationException("--dense and --experts: give one of them");
        if (given == 0) throw new ConfigurationException("--experts 0: at least 2, or --dense for the dense twin");
        return dense ? 0 : given;
    }

    /// <summary>Another dialect, or the model's own with another capacity factor; null where neither was asked for.</summary>
    Dialect? Dialect(ParseResult parsed, Dialect own)
    {
        var named = parsed.GetValue(_dialect) is { } name ? Found.Dialect(name) : null;
        if (named is not null && parsed.GetValue(_dense)) throw new ConfigurationException("--dense and --dialect: give one of them");
        if (parsed.GetValue(_capacity) is not { } factor) return named;
        if (!(factor > 0 && double.IsFinite(factor))) throw new ConfigurationException($"capacity factor {factor}: a positive number");
        var dialect = named ?? own;
        return dialect.Parameters.Contains("capacity_factor") && dialect.Capacity is null
            ? dialect with { CapacityFactor = factor }
            : throw new ConfigurationException($"--capacity-factor: {dialect.Name} has none; leave it out or choose a dialect that has one");
    }
}
