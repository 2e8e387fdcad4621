using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Ops;

namespace SparseExperts.Training;

/// <summary>
/// loss = (1 − s)·hard + s·soft + auxiliary losses: hard = −(1/T) Σ_t ln p(label_t), soft = −(1/T) Σ_t Σ_v q_tv·ln p_tv with the teacher's distribution q,
/// which is a constant; T labels that are compared. Fedus et al. 2022, section 4.2, have s = 0.25.
/// </summary>
/// <param name="teacher">Evaluated on every batch; on the student's backend.</param>
public sealed class Distillation(Predictor teacher, double soft) : IObjective
{
    /// <summary>The share of the paper.</summary>
    public const double UsualShare = 0.25;

    readonly NextTokenLoss _hard = new();

    public Tensor Losses(Tape tape, TokenBatch batch, ModelResult result) => _hard.Losses(tape, batch, result);

    public Objective Compute(Tape tape, IModel model, TokenBatch batch, ModelResult result, Pass pass)
    {
        var scale = 1.0 / Math.Max(1, tape.Total(batch.Compared));
        var entropy = tape.SumColumns(Losses(tape, batch, result), scale);
        var loss = tape.Add(tape.Scale(entropy, 1 - soft), tape.SumColumns(Soft(tape, batch, result), soft * scale));
        return new(result.AuxiliaryLoss is null ? loss : tape.Add(loss, result.AuxiliaryLoss), entropy);
    }

    /// <summary>−Σ_v q_tv·ln p_tv of every label [T, 1]; 0 where nothing is compared.</summary>
    Tensor Soft(Tape tape, TokenBatch batch, ModelResult result)
    {
        var q = tape.Rent(result.Logits.Rows, result.Logits.Columns);
        teacher.Evaluate(batch, (its, on) =>
        {
            teacher.Backend.Copy(on.Softmax(its.Logits).Value, q);
            return true;
        });
        var each = tape.SumRows(tape.Multiply(tape.Constant(q), tape.LogSoftmax(result.Logits)));
        double[] counts = [.. batch.Labels.Select(label => label == TokenBatch.NoLabel ? 0.0 : -1)];
        return tape.ScaleRows(each, tape.Column(counts));
    }
}
