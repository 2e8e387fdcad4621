using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>Balance losses that are no product of f and P.</summary>
static class OtherBalanceLosses
{
    /// <summary>CV² over all (group, expert) of Σ_t p_te·(kept first + kept second) (Tensor2Tensor expert_utils.py, local_moe_tpu).</summary>
    public static Tensor VariationOfKeptMass(Tape tape, RouterCall call, LossInputs inputs)
    {
        var plan = inputs.Plan;
        var kept = new float[call.Tokens * call.Experts];
        for (var i = 0; i < plan.RowOf.Length; i++)
            if (plan.RowOf[i] >= 0) kept[i / plan.Choices * call.Experts + plan.Expert[i]]++;
        var sums = Variation.GroupSums(tape, call, tape.Multiply(inputs.Scores, tape.PlanConstant(call.Tokens, call.Experts, kept)), 1);
        return Variation.OfRows(tape, tape.Reshape(sums, 1, call.Groups * call.Experts), call.Dialect.Variance, call.Dialect.VarianceEpsilon);
    }

    /// <summary>
    /// n_real·Σ_t a_t², a_t the mean over experts of the token's share in each expert's softmax, mean over groups
    /// (Mesh-TensorFlow moe.py, _expert_selection_gating).
    /// </summary>
    public static Tensor TokenSquares(Tape tape, RouterCall call, LossInputs inputs)
    {
        var mean = tape.Scale(tape.SumRows(inputs.Scores), 1.0 / call.Experts);                        // [T, 1]
        var groups = tape.Total(call.Groups);
        double[] weights = [.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? (double)call.RealIn(t / call.Size) / groups : 0)];
        return tape.WeightedSum(tape.Multiply(mean, mean), weights);
    }

    /// <summary>E·Σ_e (mean_t p_te)² (SpeechMoE, You et al. 2021, eq. 7).</summary>
    public static Tensor MeanSquares(Tape tape, RouterCall call, LossInputs inputs)
    {
        var means = tape.SumColumns(inputs.Scores, 1.0 / tape.TotalRows(inputs.Scores));
        double[] weights = [.. Enumerable.Repeat((double)call.Experts, call.Experts)];
        return tape.WeightedSum(tape.Multiply(means, means), weights);
    }

    /// <summary>Σ_e Σ_t ([score &gt; T_e] − [chosen by the batch])·(score − T_e): pulls the thresholds to where the batch cuts (Shazeer et al. 2017, eq. 20).</summary>
    public static Tensor BatchwiseThresholds(Tape tape, RouterCall call, LossInputs inputs)
    {
        var thresholds = inputs.Weights.Thresholds ?? throw new RoutingException($"{call.Where}: {call.Dialect.Name} trains thresholds; give router.thresholds [{call.Experts}]");
        var values = new double[call.Experts];
        tape.ReadForPlan(thresholds.Value, values);
        var chosen = new bool[call.Tokens * call.Experts];
        for (var i = 0; i < inputs.Choices.Expert.Length; i++)
            if (inputs.Choices.Expert[i] >= 0) chosen[i / inputs.Choices.K * call.Experts + inputs.Choices.Expert[i]] = true;
        double[] mask = [.. inputs.Numbers.Scores.Values.Select((s, i) => (s > values[i % call.Experts] ? 1.0 : 0) - (chosen[i] ? 1 : 0))];
        return tape.WeightedSum(tape.Subtract(inputs.Scores, tape.RepeatRow(thresholds, inputs.Scores)), mask);
    }
}
