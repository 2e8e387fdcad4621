using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>
/// SparseMixer's gates in evaluation: choice j is the largest of the logits that are left, its gate a softmax over those logits l with
/// (max − l) / max(|l|, max) ≤ 2·threshold, max the winner's logit (Phi-3.5-MoE, transformers modeling_phimoe.py, sparsemixer).
/// </summary>
static class NearWinner
{
    public static Tensor Compute(Tape tape, RouterCall call, Tensor logits, Choices choices)
    {
        var values = new double[logits.Value.Count];
        tape.ReadForPlan(logits.Value, values);
        var k = choices.K;
        var gates = new Tensor[k];
        for (var j = 0; j < k; j++)
        {
            var mask = new float[values.Length];
            for (var t = 0; t < call.Tokens; t++)
            {
                var best = (float)values[t * call.Experts + Math.Max(0, choices.Candidate[t * k + j])];
                for (var e = 0; e < call.Experts; e++)
                {
                    var l = (float)values[t * call.Experts + e];
                    var isTaken = choices.Candidate.AsSpan(t * k, j).Contains(e);
                    double Rounded(double value) => Rounding.To(call.LogitsFormat, value);
                    var distance = Rounded(Rounded((float)(best - l)) / Math.Max(Math.Abs(l), best));
                    if (isTaken || distance > Rounded(2 * call.Dialect.Threshold)) mask[t * call.Experts + e] = RouterScores.Out;
                }
            }
            int[] column = [.. Enumerable.Range(0, call.Tokens).Select(t => Math.Max(0, choices.Candidate[t * k + j]))];
            gates[j] = tape.GatherColumns(tape.Softmax(tape.Shift(logits, mask)), tape.UploadPlan(column));                      // [T, 1]
        }
        return tape.JoinColumns(gates);
    }
}
