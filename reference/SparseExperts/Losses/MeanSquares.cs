using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>E·Σ_e (mean_t p_te)² (SpeechMoE, You et al. 2021, eq. 7).</summary>
static class MeanSquares
{
    public static Tensor Compute(Tape tape, RouterCall call, LossInputs inputs)
    {
        var means = tape.SumColumns(inputs.Scores, 1.0 / tape.TotalRows(inputs.Scores));
        double[] weights = [.. Enumerable.Repeat((double)call.Experts, call.Experts)];
        return tape.WeightedSum(tape.Multiply(means, means), weights);
    }
}
