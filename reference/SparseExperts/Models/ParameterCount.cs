using SparseExperts.Autograd;
using SparseExperts.Layers;

namespace SparseExperts.Models;

/// <summary>Numbers that a model trains, counted where it declares them: none is made, so that models are counted that fit nowhere here.</summary>
/// <param name="All">Of the whole model.</param>
/// <param name="OfToken">Those that a token meets.</param>
/// <param name="Shared">Those that no expert owns, which every rank of an expert-parallel machine holds.</param>
/// <param name="Experts">Experts of a sparse block that have any; 0 for a dense model.</param>
public readonly record struct ParameterCount(long All, long OfToken, long Shared, int Experts)
{
    /// <summary>Those of one expert, over all sparse blocks.</summary>
    public long OfExpert => Experts == 0 ? 0 : (All - Shared) / Experts;

    /// <param name="backend">Where the model would be; it is asked for what routers carry, which is a few numbers an expert.</param>
    /// <param name="ranks">The model is that of the first of so many ranks, which share every layer's experts and of which the first have the most.</param>
    /// <exception cref="ConfigurationException">A stack of matrices has more rows than there are numbers for; one line.</exception>
    public static ParameterCount Of(IModelConfig config, IBackend backend, int ranks = 1)
    {
        using var tape = new Tape(backend);
        IModel model;
        try
        {
            model = ModelFamily.Make(tape, config, new StartValues(0), ranks == 1 ? null : whole => OfFirst(whole, ranks));
        }
        catch (OverflowException)
        {
            throw new ConfigurationException(
                $"{config.Title}: its experts' matrices have more than {int.MaxValue} rows together; choose fewer or smaller experts");
        }
        var shared = model.Parameters.Where(p => p.Experts == 1).Sum(p => (long)p.Rows * p.Columns);
        var experts = model.Parameters.Max(p => p.Experts);
        return new(model.ParameterCount, model.ActiveParameterCount, shared, experts == 1 ? 0 : experts);
    }

    /// <summary>Some of the experts' matrices, and all of every other one.</summary>
    static WeightPart OfFirst(WeightPart whole, int ranks) =>
        whole.Stack == 1 ? whole : whole with { Matrices = new(0, (whole.Stack + ranks - 1) / ranks) };
}
