namespace SparseExperts.Routing;

/// <summary>
/// Balancing without a loss: after a step the bias of an expert that got fewer tokens than the mean grows, that of a busier one shrinks
/// (DeepSeek-V3 report, section 2.1.2; Megatron moe_utils.py, get_updated_expert_bias; torchtitan components/optimizer).
/// </summary>
public static class CorrectionBias
{
    /// <summary>b_e += rate·sign(mean(n) − n_e), sign(0) = 0; torchtitan first takes the mean of the steps off.</summary>
    public static double[] Step(Dialect d, ReadOnlySpan<int> counts, ReadOnlySpan<double> bias)
    {
        long sum = 0;
        foreach (var n in counts) sum += n;
        var mean = (double)sum / counts.Length;                      // exact where it is whole, so that sign(0) is seen
        var steps = new double[counts.Length];
        for (var e = 0; e < steps.Length; e++) steps[e] = d.BiasRate * Math.Sign(mean - counts[e]);
        var centre = d.BiasCentred ? steps.Average() : 0;
        var updated = bias.ToArray();
        for (var e = 0; e < updated.Length; e++) updated[e] += steps[e] - centre;
        return updated;
    }

    /// <summary>The same from a plan, in place: choices that were made, or where the dialect drops, those that were kept.</summary>
    internal static void Step(Dialect d, RoutingPlan plan, Span<float> bias)
    {
        var counts = new int[plan.Experts];
        for (var i = 0; i < plan.Expert.Length; i++)
            if (plan.RowOf[i] >= 0) counts[plan.Expert[i]]++;
        var before = new double[bias.Length];
        for (var e = 0; e < before.Length; e++) before[e] = bias[e];
        var after = Step(d, counts, before);
        for (var e = 0; e < after.Length; e++) bias[e] = (float)after[e];
    }
}
