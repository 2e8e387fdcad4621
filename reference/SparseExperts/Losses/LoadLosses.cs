using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>Importance and load: how unequal the experts' gates and their smooth counts of tokens are.</summary>
static class LoadLosses
{
    const double RootHalf = 0.70710678118654752440;

    /// <summary>
    /// CV² of Σ_t gate_te over the whole call (Shazeer et al. 2017, eq. 6–7), or per group of Σ_t of the clean scores, then the mean
    /// (V-MoE, Riquelme et al. 2021, appendix A).
    /// </summary>
    public static Tensor Importance(Tape tape, RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        if (d.Importance == ImportanceLoss.CleanScores)
            return Variation.Mean(tape, Variation.OfRows(tape, Variation.GroupSums(tape, call, Clean(tape, call, inputs), 1), d.Variance, d.VarianceEpsilon));
        var gates = Gates.Dense(tape, inputs.Gates, inputs.Choices.Candidate, call.Experts);
        return Variation.OfRows(tape, tape.SumColumns(gates, 1), d.Variance, d.VarianceEpsilon);
    }

    public static Tensor Load(Tape tape, RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        return d.Load switch
        {
            LoadLoss.OneThreshold => Variation.Mean(tape, Spread(Variation.GroupSums(tape, call, OneThreshold(tape, call, inputs), call.Size))),
            LoadLoss.ExcludingItself => Spread(tape.SumColumns(Smooth(tape, call, inputs.Logits, inputs.Noisy, inputs.Deviation, inputs.Numbers, d.K), 1)),
            var other => throw new RoutingException($"{call.Where}: unknown load loss {other}"),
        };
        Tensor Spread(Tensor loads) => Variation.OfRows(tape, loads, d.Variance, d.VarianceEpsilon);
    }

    /// <summary>
    /// P(t, e): probability that e stays among the k best when its own noise is drawn again: Φ((clean − threshold)/σ), the threshold being the
    /// (k + 1)-th noisy logit for an expert that is in, the k-th for one that is out, so that e itself is left out (Shazeer et al. 2017, eq. 9).
    /// Without noise or with k = E it is the 0/1 count of what is chosen.
    /// </summary>
    internal static Tensor Smooth(Tape tape, RouterCall call, Tensor clean, Tensor noisy, Tensor? deviation, RouterNumbers numbers, int k)
    {
        int rows = clean.Rows, experts = clean.Columns;
        if (k >= experts) return tape.PlanConstant(rows, experts, PositiveGates(numbers.Noisy.Values, experts));
        var ranking = new Ranking(numbers.Noisy.Values, numbers.Noisy.Errors, experts);
        var thresholds = new int[rows * experts];
        var step = new float[rows * experts];
        for (var t = 0; t < rows; t++)
        {
            var row = ranking.Row(t);
            var best = Ranking.Top(row, k + 1, TieRule.Lowest);
            for (var e = 0; e < experts; e++)
            {
                var isIn = row[e] > row[best[k]];
                var threshold = best[isIn ? k : k - 1];
                thresholds[t * experts + e] = t * experts + threshold;
                var c = numbers.Logits.Values[t * experts + e];
                step[t * experts + e] = c > row[threshold] ? 1 : c == row[threshold] ? 0.5f : 0;
            }
        }
        if (deviation is null) return tape.PlanConstant(rows, experts, step);
        var distance = tape.Subtract(clean, tape.GatherElements(noisy, thresholds, rows, experts));
        var scaled = tape.Divide(distance, tape.Shift(tape.Scale(deviation, Math.Sqrt(2)), 1e-20));
        return Normal(tape, scaled);
    }

    /// <summary>1 − Φ((k-th noisy logit − clean)·E/noise_std): one threshold for all experts, with its gradient.</summary>
    static Tensor OneThreshold(Tape tape, RouterCall call, LossInputs inputs)
    {
        var distance = tape.Subtract(inputs.Logits, KthNoisy(tape, call, inputs));
        return Normal(tape, tape.Scale(distance, RootHalf * call.Experts / call.Dialect.NoiseStd));
    }

    /// <summary>(CV² of Σ softmax(clean) + CV² of Σ Φ((softmax(clean) − k-th noisy logit)·E/noise_std)) / 2: a probability minus a logit.</summary>
    public static Tensor MixedUnits(Tape tape, RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        var clean = Clean(tape, call, inputs);
        var distance = tape.Subtract(clean, KthNoisy(tape, call, inputs));
        var load = tape.SumColumns(Normal(tape, tape.Scale(distance, RootHalf * call.Experts / d.NoiseStd)), 1);
        var importance = Variation.OfRows(tape, tape.SumColumns(clean, 1), d.Variance, d.VarianceEpsilon);
        var spread = Variation.OfRows(tape, load, d.Variance, d.VarianceEpsilon);
        return tape.Scale(tape.Add(importance, spread), 0.5);
    }

    /// <summary>Scores without noise [T, E]; a softmax where the dialect has one at all, the given numbers where it has no scores.</summary>
    static Tensor Clean(Tape tape, RouterCall call, LossInputs inputs) =>
        call.Dialect.Score is Score.Softmax or Score.SoftmaxPost ? tape.Softmax(inputs.Logits) : RouterScores.Compute(tape, call, inputs.Logits);

    static Tensor KthNoisy(Tape tape, RouterCall call, LossInputs inputs)
    {
        var ranking = Ranking.Of(inputs.Numbers.Noisy, call.Experts);
        var ids = new int[call.Tokens];
        for (var t = 0; t < call.Tokens; t++) ids[t] = Ranking.Top(ranking.Row(t), call.K, TieRule.Lowest)[^1];
        return tape.RepeatColumn(tape.GatherColumns(inputs.Noisy, tape.UploadPlan(ids)), call.Experts);
    }

    /// <summary>½(1 + erf x).</summary>
    static Tensor Normal(Tape tape, Tensor x) => tape.Scale(tape.Shift(tape.Activate(Activation.Erf, x), 1), 0.5);

    /// <summary>[softmax > 0]: with all experts chosen, those whose gate does not underflow float32.</summary>
    static float[] PositiveGates(double[] logits, int experts)
    {
        var positive = new float[logits.Length];
        for (var start = 0; start < logits.Length; start += experts)
        {
            var row = logits.AsSpan(start, experts);
            var max = double.NegativeInfinity;
            foreach (var l in row) max = Math.Max(max, l);
            double sum = 0;
            foreach (var l in row) sum += ReproducibleMath.Exp(l - max);
            for (var e = 0; e < experts; e++) positive[start + e] = (float)(ReproducibleMath.Exp(row[e] - max) / sum) > 0 ? 1 : 0;
        }
        return positive;
    }
}
