namespace SparseExperts.Routing;

/// <summary>
/// Balancing without a loss: after a step the bias of an expert that got fewer tokens than the mean grows, that of a busier one shrinks
/// (DeepSeek-V3 report, section 2.1.2; Megatron moe_utils.py, get_updated_expert_bias; torchtitan components/optimizer).
/// </summary>
public static class CorrectionBias
{
    /// <summary>
    /// b_e += rate·sign(mean(n) − n_e), sign(0) = 0: an expert at the mean stays. Where the step is centred the mean of the steps over the experts is taken
    /// off first, and an expert at the mean moves by minus that.
    /// </summary>
    /// <param name="counts">Tokens of every expert [E], of all groups, sequences and micro-batches of the step together.</param>
    /// <param name="bias">[E].</param>
    /// <exception cref="ArgumentException">There are more or fewer counts than biases: counts of groups have to be added up first.</exception>
    public static double[] Step(Dialect d, ReadOnlySpan<double> counts, ReadOnlySpan<double> bias)
    {
        if (counts.Length != bias.Length)
            throw new ArgumentException($"{counts.Length} counts for {bias.Length} experts; add the counts of all groups up", nameof(counts));
        double sum = 0;
        foreach (var n in counts) sum += n;
        var mean = sum / counts.Length;                              // exact where it is whole, so that sign(0) is seen
        var steps = new double[counts.Length];
        for (var e = 0; e < steps.Length; e++) steps[e] = d.BiasRate * Math.Sign(mean - counts[e]);
        var centre = d.BiasCentred ? steps.Average() : 0;
        var updated = bias.ToArray();
        for (var e = 0; e < updated.Length; e++) updated[e] += steps[e] - centre;
        return updated;
    }

    /// <summary>
    /// Tokens of every expert [E] in a plan, of all groups together: choices that were made, or where the dialect drops, those that were kept. Experts
    /// that are filled up to their capacity have all the same.
    /// </summary>
    /// <param name="isReal">Whether a token is no padding; null where there is none.</param>
    /// <param name="isMeant">Whether a token is one of those whose bias it is; null where all are.</param>
    internal static double[] Counts(Dialect d, RoutingPlan plan, Func<int, bool>? isReal = null, Func<int, bool>? isMeant = null)
    {
        var counts = new double[plan.Experts];
        if (CapacityRule.FillsUp(d))
        {
            Array.Fill(counts, CapacityRule.Filled(plan.Capacity, plan.Tokens / plan.Groups) * (double)plan.Groups);
            return counts;
        }
        for (var i = 0; i < plan.Expert.Length; i++)
        {
            var isCounted = d.BiasTokens == BiasTokens.All || isReal is null || isReal(i / plan.Choices);
            if (plan.RowOf[i] >= 0 && isCounted && (isMeant is null || isMeant(i / plan.Choices))) counts[plan.Expert[i]]++;
        }
        return counts;
    }

    /// <summary>The same in place.</summary>
    internal static void Step(Dialect d, ReadOnlySpan<double> counts, Span<float> bias)
    {
        var before = new double[bias.Length];
        for (var e = 0; e < before.Length; e++) before[e] = bias[e];
        var after = Step(d, counts, before);
        for (var e = 0; e < after.Length; e++) bias[e] = (float)after[e];
    }
}
