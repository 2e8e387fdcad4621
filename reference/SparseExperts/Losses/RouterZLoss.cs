using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

public static class RouterZLoss
{
    /// <summary>
    /// Mean over tokens of (ln Σ_e e^{l_e})², which keeps router logits small (Zoph et al. 2022, eq. 5). Mesh-TensorFlow and Megatron average
    /// over real tokens, the others over all.
    /// </summary>
    /// <param name="logits">[T, E].</param>
    public static Tensor Mean(Tape tape, RouterCall call, Tensor logits)
    {
        var z = tape.Round(tape.LogSumExp(logits), call.LogitsFormat);
        if (call.LogitsFormat != NumberFormat.Float32) return tape.Round(tape.SumColumn(tape.Round(tape.Multiply(z, z), call.LogitsFormat), 1.0 / Math.Max(1, call.Tokens)), call.LogitsFormat);
        if (call.Dialect.ZLoss == ZLoss.AllTokens || call.Importance.Length == 0) return tape.SumSquares(z, 1.0 / Math.Max(1, call.Tokens));
        float[] real = [.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? 1f : 0f)];
        return tape.SumSquares(tape.Multiply(z, tape.Constant(call.Tokens, 1, real)), 1.0 / Math.Max(1, real.Count(r => r == 1)));
    }
}
