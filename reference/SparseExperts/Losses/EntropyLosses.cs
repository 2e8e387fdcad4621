using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>Losses on how sharp a router's distribution is.</summary>
static class EntropyLosses
{
    /// <summary>(1/T) Σ_t ‖p_t / max(‖p_t‖₂, 10⁻²⁰)‖₁: 1 for one-hot rows, √E for uniform ones (SpeechMoE, You et al. 2021, eq. 6).</summary>
    public static Tensor Sparsity(Tape tape, Tensor scores)
    {
        var norm = tape.Activate(Activation.Sqrt, tape.Clamp(tape.SumRows(tape.Multiply(scores, scores)), 1e-38, double.PositiveInfinity));
        return tape.SumColumn(tape.Divide(tape.SumRows(scores), norm), 1.0 / scores.Rows);
    }

    /// <summary>Mean over tokens of Σ max(0, p_e − p_k) over experts e outside the chosen part, p_k the least of the chosen ones (Hetu SAMGate, sam_max).</summary>
    public static Tensor Alignment(Tape tape, RouterCall call, LossInputs inputs)
    {
        int experts = call.Experts, part = experts / call.Dialect.Groups, k = inputs.Choices.K;
        int[] least = [.. Enumerable.Range(0, call.Tokens).Select(t => inputs.Choices.Candidate[t * k + k - 1])];
        var mask = new float[call.Tokens * experts];
        for (var i = 0; i < mask.Length; i++) mask[i] = i % experts / part != least[i / experts] / part ? 1 : 0;
        var excess = tape.Subtract(inputs.Scores, tape.RepeatColumn(tape.GatherColumns(inputs.Scores, tape.Upload(least)), experts));
        return tape.WeightedSum(tape.Activate(Activation.Relu, excess), Array.ConvertAll(mask, m => (double)m / call.Tokens));
    }

    /// <summary>
    /// Per modality: mean entropy of its tokens (to be small) plus max(0, τ − entropy of their mean), τ = ln of half of the experts
    /// (LIMoE, Mustafa et al. 2022, eq. 4–5; the threshold as in its appendix).
    /// </summary>
    public static Tensor PerModality(Tape tape, RouterCall call, LossInputs inputs)
    {
        int[] modality = call.TaskIds.Length == call.Tokens ? call.TaskIds : new int[call.Tokens];
        var count = modality.Length == 0 ? 1 : modality.Max() + 1;
        var logs = tape.LogSoftmax(inputs.Logits);
        var products = tape.Multiply(tape.Softmax(inputs.Logits), logs);                              // −entropy terms
        var weights = new float[count * call.Tokens];
        for (var m = 0; m < count; m++)
        {
            var size = modality.Count(x => x == m);
            for (var t = 0; t < call.Tokens; t++) weights[m * call.Tokens + t] = modality[t] == m ? 1f / size : 0;
        }
        var selector = tape.Constant(count, call.Tokens, weights);
        var local = tape.Scale(tape.SumRows(tape.Linear(selector, products)), -1);                     // [modalities, 1]
        var means = tape.Clamp(tape.Linear(selector, inputs.Scores), 1e-30, 1);
        var global = tape.Scale(tape.SumRows(tape.Multiply(means, tape.Activate(Activation.Log, means))), -1);
        var lacking = tape.Activate(Activation.Relu, tape.Shift(tape.Scale(global, -1), Math.Log(Math.Max(1, call.Experts / 2.0))));
        return tape.SumColumn(tape.Add(local, lacking), 1);
    }
}
