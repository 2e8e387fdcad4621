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
    /// <param name="by">What the loss is multiplied by; 1 where its steps are rounded to a narrow format.</param>
    public static Tensor Mean(Tape tape, RouterCall call, Tensor logits, double by = 1)
    {
        if (call.Dialect.PaddingLogits == PaddingLogits.Zeroed && call.TokenMask.Length > 0) logits = RouterLogits.WithoutPadding(tape, call, logits);
        var z = tape.Round(tape.WidenByComposedLogSumExp(tape.LogSumExp(logits), logits, call.LogitsFormat), call.LogitsFormat);
        if (call.LogitsFormat != NumberFormat.Float32) return InLogitsFormat(tape, call, z);
        double batches = call.Dialect.Microbatches;
        if (call.Dialect.ZLoss == ZLoss.AllTokens || call.TokenMask.Length == 0) return tape.SumSquares(z, by / (Math.Max(1, tape.TotalRows(z)) * batches));
        float[] real = [.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? 1f : 0f)];
        var ofReal = tape.Multiply(z, tape.PlanConstant(call.Tokens, 1, real));
        return tape.SumSquares(ofReal, by / (Math.Max(1, tape.Total(real.Count(r => r == 1))) * batches));
    }

    /// <summary>The same with every step rounded to the logits' format, as a library does that never leaves it.</summary>
    static Tensor InLogitsFormat(Tape tape, RouterCall call, Tensor z)
    {
        var squares = tape.Round(tape.Multiply(z, z), call.LogitsFormat);
        var all = call.Dialect.ZLoss == ZLoss.AllTokens || call.TokenMask.Length == 0;
        double[] weights = [.. Enumerable.Range(0, call.Tokens).Select(t => all || call.IsReal(t) ? 1.0 : 0)];
        var count = Math.Max(1, tape.Total(weights.Sum(w => (int)w))) * call.Dialect.Microbatches;
        return tape.Round(tape.WeightedSum(squares, [.. weights.Select(w => w / count)]), call.LogitsFormat);
    }
}
