using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>
/// Σ_e Σ_t ([score &gt; T_e] − [chosen by the batch])·(score − T_e): pulls the thresholds to where the batch cuts (Shazeer et al. 2017, eq. 20).
/// </summary>
static class BatchwiseThresholds
{
    public static Tensor Compute(Tape tape, RouterCall call, LossInputs inputs)
    {
        var thresholds = inputs.Weights.Thresholds
            ?? throw new RoutingException($"{call.Where}: {call.Dialect.Name} trains thresholds; give router.thresholds [{call.Experts}]");
        var values = new double[call.Experts];
        tape.ReadForPlan(thresholds.Value, values);
        var chosen = new bool[call.Tokens * call.Experts];
        for (var i = 0; i < inputs.Choices.Expert.Length; i++)
            if (inputs.Choices.Expert[i] >= 0) chosen[i / inputs.Choices.K * call.Experts + inputs.Choices.Expert[i]] = true;
        double[] mask = [.. inputs.Numbers.Scores.Values.Select((s, i) => (s > values[i % call.Experts] ? 1.0 : 0) - (chosen[i] ? 1 : 0))];
        return tape.WeightedSum(tape.Subtract(inputs.Scores, tape.RepeatRow(thresholds, inputs.Scores)), mask);
    }
}
