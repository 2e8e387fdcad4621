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
        return tape.SumColumns(tape.Divide(tape.SumRows(scores), norm), 1.0 / tape.TotalRows(scores));
    }

    /// <summary>
    /// Mean over tokens of Σ max(0, p_e − p_k) over experts e outside the chosen part, p_k the least of the chosen ones (Hetu SAMGate, sam_max).
    /// </summary>
    public static Tensor Alignment(Tape tape, RouterCall call, LossInputs inputs)
    {
        int experts = call.Experts, part = experts / call.Dialect.Groups, k = inputs.Choices.K;
        int[] least = [.. Enumerable.Range(0, call.Tokens).Select(t => inputs.Choices.Candidate[t * k + k - 1])];
        var mask = new float[call.Tokens * experts];
        for (var i = 0; i < mask.Length; i++) mask[i] = i % experts / part != least[i / experts] / part ? 1 : 0;
        var excess = tape.Subtract(inputs.Scores, tape.RepeatColumn(tape.GatherColumns(inputs.Scores, tape.UploadPlan(least)), experts));
        return tape.WeightedSum(tape.Activate(Activation.Relu, excess), Array.ConvertAll(mask, m => (double)m / tape.TotalRows(inputs.Scores)));
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
        Tensor? loss = null;
        for (var m = 0; m < count; m++)
        {
            var size = tape.Total(modality.Count(x => x == m));
            var own = tape.Column([.. modality.Select(x => x == m ? 1.0 / size : 0)]);
            var local = tape.Scale(tape.SumColumns(tape.SumRows(tape.ScaleRows(products, own)), 1), -1);
            var means = tape.Clamp(tape.SumColumns(tape.ScaleRows(inputs.Scores, own), 1), 1e-30, 1);                  // [1, E]
            var minusGlobal = tape.SumRows(tape.Multiply(means, tape.Activate(Activation.Log, means)));
            var lacking = tape.Activate(Activation.Relu, tape.Shift(minusGlobal, ReproducibleMath.Log(Math.Max(1, call.Experts / 2.0))));
            loss = loss is null ? tape.Add(local, lacking) : tape.Add(loss, tape.Add(local, lacking));
        }
        return loss!;
    }
}
