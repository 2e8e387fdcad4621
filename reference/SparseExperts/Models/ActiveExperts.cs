using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>What a model of any family asks of its dialect: whether it can be trained with it, and how many experts a token meets.</summary>
static class ActiveExperts
{
    /// <summary>Experts that a token is meant to meet in a sparse block: its choices, or all where all are mixed.</summary>
    public static int PerToken(Dialect d, int experts) => d.Selection switch
    {
        Selection.All or Selection.BinaryCode or Selection.SlotMixture => experts,
        Selection.TwoLevel => d.K * d.GroupsKept,
        Selection.Cascade => 1,
        Selection.TopK or Selection.ExpertChoice or Selection.ExhaustionAware or Selection.OnePerPrototype or Selection.BestPartThenTopK
            or Selection.Sinkhorn or Selection.Auction or Selection.OptimalAssignment or Selection.OptimalTransport or Selection.Quantile
            or Selection.Batchwise or Selection.PositiveScores or Selection.DynamicTopK or Selection.SparseMixer or Selection.HashTable or Selection.PlaceTable
            or Selection.TaskTable or Selection.Random or Selection.PolicySample
            or Selection.TwoLevelCapacity => d.K,
        var other => throw new InvalidOperationException($"unknown selection {other}"),
    };

    /// <summary>Numbers that one token meets, of experts only those that it is meant to have.</summary>
    public static long Parameters(IEnumerable<Parameter> all, int perToken) =>
        all.Sum(p => (long)p.Rows * p.Columns / p.Experts * Math.Min(p.Experts, Math.Max(1, perToken)));

    /// <summary>What the dialect says about itself, about this number of experts, and about dropout of their hidden layers.</summary>
    /// <exception cref="ConfigurationException">It cannot be trained so; one line.</exception>
    public static void Validate(Dialect d, int experts, double dropout)
    {
        if (dropout > 0 && d.LayerKind() is LayerKind.Soft or LayerKind.TwoLevelCapacity)
            throw new ConfigurationException($"expert dropout {dropout}: the layer of {d.Name} has none; choose 0", "expert-dropout");
        try
        {
            DialectRules.Check(d, experts);
            DialectRules.CheckTrainable(d);
            if (d.PreviousBatches > 0)
                throw new ConfigurationException(
                    $"{d.Name}: previous_batches {d.PreviousBatches}: choose 0, for a step of training here is one micro-batch");
        }
        catch (DialectException e)
        {
            throw new ConfigurationException(e.Message);
        }
    }
}
