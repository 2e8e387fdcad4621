using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>
/// n_real·Σ_t a_t², a_t the mean over experts of the token's share in each expert's softmax, mean over groups
/// (Mesh-TensorFlow moe.py, _expert_selection_gating).
/// </summary>
static class TokenSquares
{
    public static Tensor Compute(Tape tape, RouterCall call, LossInputs inputs)
    {
        var mean = tape.Scale(tape.SumRows(inputs.Scores), 1.0 / call.Experts);                        // [T, 1]
        var groups = tape.Total(call.Groups);
        double[] weights = [.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? (double)call.RealIn(t / call.Size) / groups : 0)];
        return tape.WeightedSum(tape.Multiply(mean, mean), weights);
    }
}
