using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>What sparse layers take from all tokens of a batch together, and so what becomes of a batch that is run in micro-batches.</summary>
public static class BatchWide
{
    /// <summary>While training, a token's experts and their places come from its own row alone, so that it does not matter which others are there.</summary>
    public static bool RoutesTokensAlone(Dialect d) => d.RoutesAlone && d.CapacityFormula == CapacityFormula.None && d.Selection != Selection.Sinkhorn;

    /// <summary>Why a batch cannot be run in micro-batches at all; null where it can.</summary>
    public static string? Refusal(IModelConfig config)
    {
        if (config.Experts == 0) return null;
        var d = config.Dialect.For(training: true);
        if (d.LayerKind() == LayerKind.Soft) return $"{d.Name} mixes tokens into slots, whose gradients are not summed over micro-batches";
        if (d.Router == RouterForm.ProductKeys && d.KeySplit == KeySplit.Pooled) return $"{d.Name} pools its router's keys over the batch";
        return d.EntropyLosses ? $"{d.Name} has losses for every modality that a batch happens to have" : null;
    }

    /// <summary>
    /// Whether the forward passes of all micro-batches have to be heard before the first backward pass: not where every loss is a sum over tokens, or over
    /// groups that lie in one micro-batch, but where losses multiply or square sums over the batch.
    /// </summary>
    public static bool NeedsSurvey(IModelConfig config)
    {
        if (config.Experts == 0) return false;
        var d = config.Dialect.For(training: true);
        var pools = d.LayerReduction == LayerReduction.Pooled || d.GroupSize == 0 && RoutesTokensAlone(d);
        var onlySums = d.Balance is BalanceLoss.None or BalanceLoss.Product or BalanceLoss.TokenSquares && d.Loss != LossChoice.LoadImportance
            && d.Importance == ImportanceLoss.None && d.Load == LoadLoss.None;
        return pools || !onlySums || PoolsBalance(d) || d.LayerKind() != LayerKind.Routed;
    }

    /// <summary>Whether a balance loss is taken over all tokens of the batch, whatever its groups are.</summary>
    static bool PoolsBalance(Dialect d) =>
        d.Balance == BalanceLoss.Product
        && (d.GlobalBalanceCoefficient != 0 || d.BalanceLevel is BalanceLevel.Batch or BalanceLevel.Global or BalanceLevel.RankShare);

    /// <summary>Why a step in micro-batches is another than the step on the whole batch; null where it has the same bits.</summary>
    /// <param name="sequences">Of the batch.</param>
    /// <param name="parts">Micro-batches.</param>
    public static string? Difference(IModelConfig config, int sequences, int parts)
    {
        if (parts == 1) return null;
        var reason = config.Experts == 0 ? null : OfRouting(config.Dialect.For(training: true)) ?? OfOrder(config) ?? OfGroups(config, sequences, parts);
        if (reason is not null) return reason;
        return (parts & (parts - 1)) == 0 ? null : "sums over tokens are joined in another order, because their number is no power of 2";
    }

    static string? OfRouting(Dialect d)
    {
        if (d.LayerKind() == LayerKind.TwoLevelCapacity) return $"{d.Name} makes groups of what its outer level gives each expert";
        if (d.Selection == Selection.Sinkhorn) return $"{d.Name} balances over the tokens that it sees, which are those of one of them";
        return d.GroupSize != 0 || RoutesTokensAlone(d) ? null
            : $"{d.Name} has the batch for one group, so that each of them is a group of its own and losses are averaged over them";
    }

    static string? OfOrder(IModelConfig config)
    {
        var d = config.Dialect.For(training: true);
        if (d.TrainingExtra == TrainingExtra.Consistency) return $"{d.Name} runs twice over each, and adds the experts' gradients in another order";
        if (d.Balance == BalanceLoss.VariationOfKeptMass) return $"{d.Name} has a balance loss over all groups, which are then those of one of them";
        if (d.ExpertsInNorm || d.ExpertsPostNorm) return $"{d.Name} has norms over the experts' rows, whose gradients come in another order";
        if (d.DroppedOutput == DroppedOutput.CollidingSlot) return $"{d.Name} lets tokens share slots, which come in another order";
        return d.Selection is Selection.ExpertChoice or Selection.OptimalTransport && config.ExpertDropout > 0
            ? $"{d.Name} numbers a token's experts by how many the busiest token has, so that their dropout has other masks"
            : null;
    }

    static string? OfGroups(IModelConfig config, int sequences, int parts)
    {
        var d = config.Dialect.For(training: true);
        if (d.GroupSize == 0) return null;
        var (each, experts) = (sequences / parts, config.Experts);
        bool Same(int length) =>
            Grouping.Padding(d, sequences, length, experts) == (sequences, length) && Grouping.Padding(d, each, length, experts) == (each, length)
            && Grouping.Count(d, sequences * length, sequences, experts) == parts * Grouping.Count(d, each * length, each, experts);
        return config.Lengths.All(Same) ? null : $"{d.Name} cuts each of them into groups by itself, which are others than those of the batch";
    }
}
