using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>What sparse layers take from all tokens of a batch together, and so what becomes of a batch that is run in micro-batches.</summary>
public static class BatchWide
{
    /// <summary>While training, a token's experts and their places come from its own row alone, so that it does not matter which others are there.</summary>
    public static bool RoutesTokensAlone(Dialect d) => d.RoutesAlone && d.CapacityFormula == CapacityFormula.None && d.Selection != Selection.Sinkhorn;

    /// <summary>
    /// Forward passes that have to be heard before the first backward pass: none where every loss is a sum over tokens, or over groups that lie in
    /// one micro-batch; one where losses multiply or square sums over the batch; two where those have terms divided by counts of their own.
    /// </summary>
    public static int Surveys(IModelConfig config)
    {
        if (config.Experts == 0) return 0;
        var d = config.Dialect.Settled;
        if (d.EntropyLosses && d.EntropyCoefficient != 0) return 2;
        var pools = d.LayerReduction == LayerReduction.Pooled || d.GroupSize == 0 && RoutesTokensAlone(d);
        var onlySums = d.Balance is BalanceLoss.None or BalanceLoss.Product or BalanceLoss.TokenSquares && d.Loss != LossChoice.LoadImportance
            && d.Importance == ImportanceLoss.None && d.Load == LoadLoss.None;
        return pools || !onlySums ? 1 : 0;
    }

    /// <summary>Why a step in micro-batches is another than the step on the whole batch; null where it has the same bits.</summary>
    /// <param name="sequences">Of the batch.</param>
    /// <param name="parts">Micro-batches.</param>
    public static string? Difference(IModelConfig config, int sequences, int parts)
    {
        if (parts == 1) return null;
        if (config.Experts > 0 && OfRouting(config, sequences, parts) is { } reason) return reason;
        return (parts & (parts - 1)) == 0 ? null : "sums over tokens are joined in another order, because their number is no power of 2";
    }

    static string? OfRouting(IModelConfig config, int sequences, int parts)
    {
        var d = config.Dialect.Settled;
        if (d.TrainingExtra == TrainingExtra.Consistency) return $"{d.Name} runs twice over each, and adds the experts' gradients in another order";
        if (d.GroupSize == 0) return RoutesTokensAlone(d) ? null : $"{d.Name} has the batch for one group, so that each of them is a group of its own and losses are averaged over them";
        var (each, experts, length) = (sequences / parts, config.Experts, config.Context);
        var same = Grouping.Padding(d, sequences, length, experts) == (sequences, length) && Grouping.Padding(d, each, length, experts) == (each, length)
            && Grouping.Count(d, sequences * length, sequences, experts) == parts * Grouping.Count(d, each * length, each, experts);
        return same ? null : $"{d.Name} cuts each of them into groups by itself, which are others than those of the batch";
    }
}
