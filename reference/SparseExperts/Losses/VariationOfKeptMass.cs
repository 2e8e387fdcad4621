using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>CV² over all (group, expert) of Σ_t p_te·(kept first + kept second) (Tensor2Tensor expert_utils.py, local_moe_tpu).</summary>
static class VariationOfKeptMass
{
    public static Tensor Compute(Tape tape, RouterCall call, LossInputs inputs)
    {
        var plan = inputs.Plan;
        var kept = new float[call.Tokens * call.Experts];
        for (var i = 0; i < plan.RowOf.Length; i++)
            if (plan.RowOf[i] >= 0) kept[i / plan.Choices * call.Experts + plan.Expert[i]]++;
        var sums = Variation.GroupSums(tape, call, tape.Multiply(inputs.Scores, tape.PlanConstant(call.Tokens, call.Experts, kept)), 1);
        return Variation.OfRows(tape, tape.Reshape(sums, 1, call.Groups * call.Experts), call.Dialect.Variance, call.Dialect.VarianceEpsilon);
    }
}
