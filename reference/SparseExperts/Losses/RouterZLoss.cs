using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Losses;

public static class RouterZLoss
{
    /// <summary>
    /// Mean over the tokens that are not padding of (ln Σ_e e^{l_e})², which keeps router logits small
    /// (Zoph et al. 2022, eq. 5; Mesh-TensorFlow moe.py, _router_z_loss, which scales it once more by the balance coefficient).
    /// </summary>
    /// <param name="logits">[T, E].</param>
    /// <param name="importance">One number a token, 0 for padding; empty means that there is none.</param>
    public static Tensor Mean(Tape tape, Tensor logits, ReadOnlySpan<float> importance)
    {
        var z = tape.LogSumExp(logits);
        var count = logits.Rows;
        if (importance.Length > 0)
        {
            var kept = importance.ToArray().Select(i => i == 1 ? 1f : 0f).ToArray();
            count = Math.Max(1, kept.Count(i => i == 1));
            z = tape.Multiply(z, tape.Constant(logits.Rows, 1, kept));
        }
        return tape.SumSquares(z, 1.0 / count);
    }
}
